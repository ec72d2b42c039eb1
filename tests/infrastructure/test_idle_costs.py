"""Plans of the lab as on AWS, of which no emulator has all: what they cost while idle, and settings
that reach the resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.local.state import PROJECT
from services.operations.cost.idle import idle_bill, resources
from services.operations.cost.prices import read_prices
from tests.infrastructure import idle_costs

pytestmark = pytest.mark.slow
WORKER = 'module.worker["process-image"]'


@dataclass(frozen=True)
class Plans:
    """The plans of the page by the name of their form, and of production with one worker."""

    forms: dict[str, dict[str, Any]]
    worker: dict[str, Any]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    with idle_costs.planner(tmp_path_factory.mktemp("plans")) as lab:
        worker = idle_costs.plan_of(lab, "production", compute={"process-image": "worker"})
        yield Plans(dict(idle_costs.plans(lab)), worker)


def values(plan: dict[str, Any], address: str) -> dict[str, Any]:
    """The planned values of the resource."""
    (found,) = [r for r in resources(plan) if r.address == address]
    return dict(found.values)


def endpoints(plan: dict[str, Any]) -> set[str]:
    """The services of the interface endpoints, without region."""
    return {
        r.values["service_name"].partition("eu-central-1.")[2]
        for r in resources(plan)
        if r.type == "aws_vpc_endpoint" and r.values["vpc_endpoint_type"] == "Interface"
    }


def cost_of_endpoints(plan: dict[str, Any]) -> float:
    bill = idle_bill(plan, read_prices())
    (item,) = [item for item in bill.items if "interface endpoints" in item.what]
    return item.dollars


def test_page_of_idle_costs_is_current(plans: Plans) -> None:
    expected = idle_costs.PAGE.read_text(encoding="utf-8")
    assert idle_costs.page(plans.forms) == expected, "run `make idle-costs`"


def test_photos_only_cost_at_most_a_dollar_a_month_while_idle(plans: Plans) -> None:
    bill = idle_bill(plans.forms["photos only"], read_prices())
    assert bill.unpriced == ()
    assert bill.total <= 1


def test_first_worker_adds_three_interface_endpoints_at_the_documented_cost(plans: Plans) -> None:
    before = plans.forms["production"]
    assert endpoints(plans.worker) - endpoints(before) == {"ecr.api", "ecr.dkr", "logs"}
    added = cost_of_endpoints(plans.worker) - cost_of_endpoints(before)
    page = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert f"(`ecr.api`, `ecr.dkr`, `logs`): ${added:.2f} a month in two zones" in page


def test_apply_waits_until_new_tasks_of_a_worker_run(plans: Plans) -> None:
    service = values(plans.worker, f"{WORKER}.aws_ecs_service.this")
    assert service["wait_for_steady_state"] is True
    assert service["deployment_circuit_breaker"] == [{"enable": True, "rollback": True}]


@pytest.mark.parametrize(
    ("environment", "memory_gib"), [("development", 1), ("production", 4)]
)  # db.t4g.micro, db.t4g.medium
def test_alarm_on_connections_is_80_percent_of_what_the_instance_takes(
    plans: Plans, environment: str, memory_gib: int
) -> None:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html, less a quarter of the
    # memory for the operating system.
    limit = int(0.75 * memory_gib * 1024**3 / 9_531_392)
    address = 'module.observability.aws_cloudwatch_metric_alarm.this["database-0-connections"]'
    alarm = values(plans.forms[environment], address)
    assert alarm["threshold"] == int(0.8 * limit)
    assert alarm["metric_name"] == "DatabaseConnections"
