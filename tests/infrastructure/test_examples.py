"""The examples of terraform/modules, applied to one emulator in one apply, or planned.

An apply of its own for each would start the provider as often, which takes most of the time. So one
root module calls all examples, which share its providers.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from services.local import emulator as emulators
from services.local.emulator import REGION, free_port
from services.local.state import PROJECT
from services.runtime.processes import die_with_parent
from tests.infrastructure import terraform
from tests.infrastructure.environment import Cloud
from tests.infrastructure.terraform import Terraform
from tests.support.waiting import eventually, scaled

pytestmark = pytest.mark.slow
MODULES = PROJECT / "terraform" / "modules"
SITE = MODULES / "site" / "examples" / "basic"
# What the emulator lacks, as in terraform/lab/target.tf: override files of the examples.
OVERRIDES = {
    "function": "warm_up_enabled = false",  # without a Docker engine, nothing runs the image
    "site": 'api_url = "https://localhost"',  # refuses: an emulator's API has no TLS
    "worker": "autoscaling_enabled = false\n  scaling = { wait_for_steady_state = false }",
    "workflow": "tracing_enabled = false",
}
# Modules that are only planned.
PLANNED = {
    "database": "RDS starts a server in Docker, and there is no RDS Proxy.",
}
# Functions of no example that these call.
CALLED_FUNCTIONS = {"api": "get-status"}
BACKUP_PROVIDER = "aws.backup"
PROVIDERS = f"""
provider "aws" {{
  region                      = "{REGION}"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}}
provider "aws" {{
  alias                       = "backup"
  region                      = "eu-west-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}}
"""


class Examples(NamedTuple):
    cloud: Cloud
    outputs: dict[str, Any]
    plan: dict[str, Any]


def names() -> list[str]:
    return sorted(folder.name for folder in MODULES.iterdir() if folder.is_dir())


def root_of(tree: Path, cloud: Cloud, root: str, modules: list[str]) -> Terraform:
    """A root module that calls the examples of these modules."""
    text = PROVIDERS
    for name in modules:
        folder = tree / "terraform" / "modules" / name / "examples" / "basic"
        backup = share_providers(folder / "main.tf")
        if name in OVERRIDES:
            override = f'module "{name}" {{\n  {OVERRIDES[name]}\n}}\n'
            (folder / "main_override.tf").write_text(override, encoding="utf-8")
        providers = "\n  providers = { aws = aws, aws.backup = aws.backup }" if backup else ""
        source = f"../modules/{name}/examples/basic"
        text += f'module "{name}" {{\n  source = "{source}"{providers}\n}}\n'
        text += f'output "{name}" {{\n  value = module.{name}\n}}\n'
    folder = tree / "terraform" / root
    folder.mkdir()
    (folder / "main.tf").write_text(text, encoding="utf-8")
    made = Terraform(tree, root, {}, cloud.variables)
    made.init()
    return made


def share_providers(file: Path) -> bool:
    """Removes the providers of an example, which is then called with those of the root module.
    Returns whether it has a provider of another region."""
    text = file.read_text(encoding="utf-8")
    text, found = re.subn(r'^provider "aws" \{\n(?:  .*\n)+\}\n', "", text, flags=re.MULTILINE)
    assert found in {1, 2}, file
    if backup := BACKUP_PROVIDER in text:
        version = 'version = ">= 5.100, < 7"\n'
        assert version in text
        alias = f"configuration_aliases = [{BACKUP_PROVIDER}]\n"
        text = text.replace(version, version + alias)
    file.write_text(text, encoding="utf-8")
    return backup


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    folder = tmp_path_factory.mktemp("examples")
    emulator = emulators.start(free_port(), folder / "emulator.log", None, die_with_parent)
    try:
        cloud = Cloud(emulator.endpoint)
        create_called_functions(cloud)
        tree = terraform.copy(folder / "tree")
        applied = root_of(tree, cloud, "applied", [n for n in names() if n not in PLANNED])
        applied.apply()
        planned = root_of(tree, cloud, "planned", sorted(PLANNED))
        yield Examples(cloud, applied.output(), planned.plan())
    finally:
        emulators.stop(emulator)


def create_called_functions(cloud: Cloud) -> None:
    for name in CALLED_FUNCTIONS.values():
        cloud.client("lambda").create_function(
            FunctionName=name, Role="arn:aws:iam::000000000000:role/status",
            PackageType="Image", Code={"ImageUri": f"{name}:1"}, Publish=True,
        )  # fmt: skip
        cloud.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")


def test_applied_examples_exist(examples: Examples) -> None:
    cloud, outputs = examples.cloud, examples.outputs
    assert set(outputs) | set(PLANNED) == set(names())
    described = {
        "api": cloud.client("apigatewayv2").get_apis()["Items"][0]["ApiEndpoint"],
        "function": cloud.client("lambda").get_function(
            FunctionName=outputs["function"]["name"], Qualifier="live"
        )["Configuration"]["FunctionName"],
        "queue": cloud.client("sqs").get_queue_url(QueueName="example-resize")["QueueUrl"],
        "storage": {
            name: bucket["Name"]
            for bucket in cloud.client("s3").list_buckets()["Buckets"]
            for name in ("originals", "renditions")
            if bucket["Name"] == f"example-storage-{name}-0815"
        },
        "site": "https://"
        + cloud.client("cloudfront").list_distributions()["DistributionList"]["Items"][0][
            "DomainName"
        ],
        "worker": cloud.client("ecs").describe_services(
            cluster="example-worker", services=[outputs["worker"]["service"]]
        )["services"][0]["serviceName"],
        "workflow": cloud.client("stepfunctions").describe_state_machine(
            stateMachineArn=outputs["workflow"]["arn"]
        )["stateMachineArn"],
    }
    shown = {
        name: outputs[name][output]
        for name, output in {
            "api": "url", "function": "name", "queue": "url", "storage": "buckets",
            "site": "url", "worker": "service", "workflow": "arn",
        }.items()
    }  # fmt: skip
    assert described == shown
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = outputs["observability"]["alarms"]["resize"]
    assert watched
    assert set(watched) <= {alarm["AlarmName"] for alarm in alarms}


def view(examples: Examples, path: str, scheme: str = "https") -> tuple[int, HTTPMessage, str]:
    """The answer of the example's distribution to a viewer: status, headers and body."""
    endpoint = urlsplit(examples.cloud.endpoint)
    host = urlsplit(examples.outputs["site"]["url"]).hostname or ""
    with closing(HTTPConnection(endpoint.netloc, timeout=scaled(30))) as connection:
        connection.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": scheme})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def test_distribution_of_the_example_serves_the_page_with_security_headers(
    examples: Examples,
) -> None:
    status, headers, body = view(examples, "/")
    assert (status, body) == (200, (SITE / "page" / "index.html").read_text(encoding="utf-8"))
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, headers, _ = view(examples, "/", "http")
    assert (status, headers["Location"]) == (301, examples.outputs["site"]["url"] + "/")


def test_distribution_of_the_example_sends_paths_of_the_api_to_the_api(
    examples: Examples,
) -> None:
    """Nothing listens at the API's address: its paths fail there, others at the bucket."""
    # The emulator runs the distribution's function, which comes before the API, with node.
    expected = HTTPStatus.BAD_GATEWAY if shutil.which("node") else HTTPStatus.SERVICE_UNAVAILABLE
    assert view(examples, "/photos/1")[0] == expected
    assert view(examples, "/nowhere")[0] == HTTPStatus.FORBIDDEN


def test_object_of_the_example_is_copied_and_its_deletion_too(examples: Examples) -> None:
    s3, buckets = examples.cloud.client("s3"), examples.outputs["backup-region"]["buckets"]
    s3.put_object(Bucket=buckets["original"], Key="a.jpg", Body=b"a photo")

    def copies() -> list[str]:
        found = s3.list_objects_v2(Bucket=buckets["copy"]).get("Contents", ())
        return [item["Key"] for item in found]

    eventually(lambda: copies() == ["a.jpg"], "the copy")
    s3.delete_object(Bucket=buckets["original"], Key="a.jpg")
    eventually(lambda: copies() == [], "the deletion of the copy")


def test_backup_plan_of_the_example_copies_the_table(examples: Examples) -> None:
    client = examples.cloud.client("backup")
    (plan,) = client.list_backup_plans()["BackupPlansList"]
    document = client.get_backup_plan(BackupPlanId=plan["BackupPlanId"])["BackupPlan"]
    (rule,) = document["Rules"]
    (copy,) = rule["CopyActions"]
    assert ":eu-west-1:" in copy["DestinationBackupVaultArn"]
    assert copy["DestinationBackupVaultArn"].endswith(":example-plan-copies")
    assert rule["Lifecycle"] == copy["Lifecycle"] == {"DeleteAfterDays": 14}
    (selection,) = client.list_backup_selections(BackupPlanId=plan["BackupPlanId"])[
        "BackupSelectionsList"
    ]
    selected = client.get_backup_selection(
        BackupPlanId=plan["BackupPlanId"], SelectionId=selection["SelectionId"]
    )["BackupSelection"]
    table = examples.cloud.client("dynamodb").describe_table(TableName="example-albums")["Table"]
    assert selected["Resources"] == [table["TableArn"]]


@pytest.mark.parametrize("module", sorted(PLANNED))
def test_example_is_planned(examples: Examples, module: str) -> None:
    created = [
        change["address"]
        for change in examples.plan["resource_changes"]
        if change["address"].startswith(f"module.{module}.module.{module}.")
        and change["change"]["actions"] == ["create"]
    ]
    assert created
