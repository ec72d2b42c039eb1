"""Bills of usage and of idle labs, with sums done by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.local.state import PROJECT
from services.operations.cost.idle import idle_bill
from services.operations.cost.prices import FILE, Prices, read_prices
from services.operations.cost.usage import (
    Architecture,
    bill,
    compare,
    lambda_dollars,
    read_workload,
)
from services.platform.errors import PermanentError
from services.platform.manifest import Feature, Manifest, load_all


@pytest.fixture
def prices() -> Prices:
    return read_prices()


@pytest.fixture
def manifests() -> tuple[Manifest, ...]:
    return load_all(PROJECT / "images")


def test_every_price_has_a_source_of_aws_and_the_file_a_date() -> None:
    document = json.loads(FILE.read_text())
    assert document["as_of"] >= "2026-11"
    for name, price in document["prices"].items():
        assert price["source"].startswith("https://aws.amazon.com/"), name


def test_lambda_price_of_a_million_calls_of_one_second_with_a_gib(prices: Prices) -> None:
    # 1,000,000 GB-seconds at $0.0000166667 and a million requests at $0.20.
    assert lambda_dollars(prices, 1024, 1000, 1e6, Architecture.X86) == pytest.approx(16.8667)
    assert lambda_dollars(prices, 1024, 1000, 1e6, Architecture.ARM) == pytest.approx(13.5334)


def test_bill_of_photos_only_has_no_routes(prices: Prices, manifests: tuple[Manifest, ...]) -> None:
    items = bill(
        read_workload(1e6, 0), prices, manifests, 6, Architecture.X86, frozenset({Feature.PHOTOS})
    )
    by_service = {item.service: item.dollars for item in items if "kept" not in item.what}
    assert "API Gateway" not in by_service
    assert by_service["S3"] == pytest.approx(7 * 5.00 + 3 * 0.40)
    assert by_service["DynamoDB"] == pytest.approx(14 * 0.625 + 6 * 0.125)
    assert by_service["SQS"] == pytest.approx(2 * 3 * 0.40)
    # The sum for photo and e-mail in docs/deploy.md.
    assert by_service["Lambda"] == pytest.approx(10.43, abs=0.01)


def test_photos_on_arm64_cost_at_most_8_dollars_a_million(
    prices: Prices, manifests: tuple[Manifest, ...]
) -> None:
    """The goal, at the measured duration and the manifest's memory."""
    (declared,) = [item for item in manifests if item.name == "process-image"]
    milliseconds = read_workload(1e6, 0).duration_ms("process-image")
    dollars = lambda_dollars(prices, declared.memory_mib, milliseconds, 1e6, Architecture.ARM)
    assert dollars <= 8


def test_orders_add_workflow_and_emails(prices: Prices, manifests: tuple[Manifest, ...]) -> None:
    items = bill(read_workload(0, 1000), prices, manifests, 6, Architecture.ARM, frozenset(Feature))
    by_service = {item.service: item.dollars for item in items}
    assert by_service["Step Functions"] == pytest.approx(6 * 1000 * 25e-6)
    assert by_service["SES"] == pytest.approx(3 * 1000 * 100e-6 + 30 / 1024 * 0.12)


def test_lines_of_lambda_and_fargate_cross_where_a_task_is_paid_for(
    prices: Prices, manifests: tuple[Manifest, ...]
) -> None:
    (function,) = [m for m in manifests if m.name == "process-image"]
    comparison = compare(function, 410, prices)
    task = 730 * (0.04048 + 2 * 0.004445)
    assert comparison.task_dollars[Architecture.X86] == pytest.approx(task)
    crossing = comparison.crossing(Architecture.X86)
    assert crossing is not None
    assert crossing * comparison.call_dollars[Architecture.X86] == pytest.approx(task)
    assert comparison.capacity == pytest.approx(730 * 3600 / 0.41)
    # A very short call never pays for a task, however many the task can do.
    assert compare(function, 410, prices, vcpus=1, gib=100).crossing(Architecture.X86) is None


def resource(address: str, **values: Any) -> dict[str, Any]:
    return {
        "address": address,
        "mode": "managed",
        "type": address.rpartition(".")[0].rpartition(".")[2] or address.partition(".")[0],
        "values": values,
    }


def plan(*resources: dict[str, Any], **variables: Any) -> dict[str, Any]:
    return {
        "variables": {name: {"value": value} for name, value in variables.items()},
        "planned_values": {
            "root_module": {"child_modules": [{"resources": list(resources)}]},
        },
    }


def test_idle_bill_counts_what_costs_without_requests(prices: Prices) -> None:
    query = [{"metric": []}, {"metric": [{}]}, {"metric": [{}]}]
    planned = plan(
        resource("aws_db_instance.this", instance_class="db.t4g.micro", allocated_storage=20),
        *(resource("aws_cloudwatch_metric_alarm.a", metric_query=query) for _ in range(10)),
        resource("aws_vpc_endpoint.a", vpc_endpoint_type="Interface"),
        resource("aws_vpc_endpoint.b", vpc_endpoint_type="Gateway"),
        resource("aws_nat_gateway.a"),
        resource("aws_eip.a"),
        *(resource("aws_lambda_event_source_mapping.a") for _ in range(3)),
        resource("aws_s3_bucket.a"),
        resource("aws_kms_key.a"),
        resource("aws_backup_vault.a"),
        resource("aws_db_instance_automated_backups_replication.a"),
        resource("aws_kinesis_stream.a"),
        database={"endpoint_zones": 2},
    )
    found = idle_bill(planned, prices)
    assert found.unpriced == ("aws_kinesis_stream",)
    dollars = {(item.service, round(item.dollars, 2)) for item in found.items}
    assert dollars == {
        ("RDS", 13.98),  # 730 x 0.016 + 20 x 0.115
        ("VPC", 14.60),  # 2 x 7.30
        ("VPC", 36.50),  # NAT gateway and address
        ("KMS", 1.00),
        ("CloudWatch", 1.00),  # 20 metrics, less 10
        ("SQS", 0.39),  # 3 x 657,000 requests, less a million
    }


def test_idle_bill_of_a_database_class_without_a_price_is_refused(prices: Prices) -> None:
    database = resource("aws_db_instance.this", instance_class="db.x9", allocated_storage=20)
    with pytest.raises(PermanentError, match=r"no price of 'db\.x9'"):
        idle_bill(plan(database), prices)


def test_cost_command_prints_usage_idle_costs_and_the_crossing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps(plan(resource("aws_nat_gateway.a"))))
    plot = tmp_path / "plot.svg"
    arguments = ["--photos", "1e6", "--plan", str(file), "--plot", str(plot), "--json"]
    assert main(["cost", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["idle"]["small"]["items"][0]["dollars"] == pytest.approx(32.85)
    assert document["comparison"]["x86_64"]["crossing"] > 1e6
    assert {item["service"] for item in document["usage"]} >= {"Lambda", "S3", "SES"}
    assert b"<svg" in plot.read_bytes()


def test_cost_command_without_anything_to_price_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["cost"]) == 2
    assert "--photos" in capsys.readouterr().err
