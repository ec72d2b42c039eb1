"""The part of the lab that the open edition of LocalStack supports. MiniStack serves DynamoDB,
since LocalStack downloads its own from a host that not every machine reaches."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from services.client.api import Api
from services.local.emulator import LOOPBACK, free_port
from services.local.mailbox import code_in
from tests.containers.cloud import EDGE_PORT, LOCALSTACK
from tests.containers.engine import Engine
from tests.infrastructure import customer, terraform
from tests.infrastructure.conftest import Applied
from tests.infrastructure.environment import Cloud, lab_environment, running_functions
from tests.infrastructure.inventory import inventory
from tests.infrastructure.terraform import changed
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

pytestmark = [pytest.mark.containers, pytest.mark.slow]
# The endpoint of a running LocalStack, in place of a container that the test starts.
ENDPOINT = "DARKROOM_TEST_LOCALSTACK"
SERVICES = "cloudwatch,events,iam,kms,logs,s3,secretsmanager,ses,sns,sqs,ssm,stepfunctions,sts"
START_SECONDS = 90
MAIL_SECONDS = 60


@pytest.fixture(scope="module")
def localstack() -> Iterator[str]:
    """LocalStack's endpoint."""
    if ENDPOINT in os.environ:
        yield os.environ[ENDPOINT]
        return
    engine = Engine.required()
    try:
        with started(engine) as endpoint:
            yield endpoint
    finally:
        engine.remove_own()


@contextmanager
def started(engine: Engine) -> Iterator[str]:
    port = free_port()
    container = DockerContainer(LOCALSTACK, docker_client_kw={}).with_bind_ports(EDGE_PORT, port)
    container.with_kwargs(labels=engine.labels)
    for name, value in {
        # Queue URLs must work outside of the container and have a form that the provider accepts.
        "LOCALSTACK_HOST": f"{LOOPBACK}:{port}",
        "SQS_ENDPOINT_STRATEGY": "off",
        "SERVICES": SERVICES,
        "EAGER_SERVICE_LOADING": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        # Check signatures of presigned links and forms, as AWS does.
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
    }.items():
        container.with_env(name, value)
    with container:
        endpoint = f"http://{LOOPBACK}:{port}"
        try:
            eventually(lambda: healthy(endpoint), "LocalStack is healthy", START_SECONDS, 0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log: {container.get_logs()}") from None
        yield endpoint


def healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=scaled(5)) as answer:
            return bool(json.load(answer))
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="module")
def subset(localstack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    folder: Path = tmp_path_factory.mktemp("localstack")
    tree = terraform.copy(tmp_path_factory.mktemp("terraform"))
    with lab_environment(folder) as environment:
        cloud = Cloud(localstack, {"dynamodb": environment.cloud.endpoint})
        environment = environment.with_cloud(cloud)
        before = inventory(cloud, whole=False)
        lab = terraform.root(tree, "lab", cloud.variables, environment.variables("localstack"))
        lab.apply()
        yield Applied(environment, lab, lab, lab.output(), before)


def test_second_plan_has_no_changes(subset: Applied) -> None:
    assert changed(subset.lab.plan()) == {}


def test_photo_is_developed_and_order_is_shipped(subset: Applied, tmp_path: Path) -> None:
    with (
        running_functions(subset.environment, subset.output),
        closing(Api(subset.environment.api)) as api,
    ):
        endpoint = subset.environment.cloud.endpoint
        api.sign_up(customer.EMAIL)
        eventually(lambda: mails(endpoint), "the code is sent", MAIL_SECONDS)
        code = code_in(mails(endpoint)[0]["RawData"])
        assert code is not None
        api.confirm(customer.EMAIL, code, "Anna Muster", customer.PASSWORD)
        api.sign_in(customer.EMAIL, customer.PASSWORD)
        image = customer.develop(api, tmp_path)
        assert image["status"] == "developed"
        order = customer.order(api, image)
        assert [step["status"] for step in order["history"]] == customer.SHIPPED
        eventually(
            lambda: len(mails(endpoint)) >= customer.MAILS, "all e-mails are sent", MAIL_SECONDS
        )
        assert len(mails(endpoint)) == customer.MAILS


def mails(endpoint: str) -> list[dict[str, Any]]:
    """The e-mails that LocalStack received."""
    with urllib.request.urlopen(f"{endpoint}/_aws/ses", timeout=scaled(HTTP_SECONDS)) as answer:
        messages: list[dict[str, Any]] = json.load(answer)["messages"]
    return messages


def test_destroy_removes_every_resource(subset: Applied) -> None:
    assert inventory(subset.environment.cloud, whole=False) != subset.before
    subset.lab.destroy()
    assert inventory(subset.environment.cloud, whole=False) == subset.before
