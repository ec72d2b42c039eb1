"""The subset of the lab that LocalStack's open edition has; MiniStack serves DynamoDB for it, since
LocalStack fetches its own from a host that not every machine reaches."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer

from services.client.api import Api
from services.local.emulator import LOOPBACK, free_port
from tests.containers.cloud import EDGE_PORT, LOCALSTACK
from tests.containers.engine import Engine
from tests.infrastructure import shopping, terraform
from tests.infrastructure.conftest import Applied
from tests.infrastructure.ground import Cloud, at_work, ground
from tests.infrastructure.inventory import inventory
from tests.infrastructure.terraform import changed

pytestmark = [pytest.mark.containers, pytest.mark.slow]
# Of a LocalStack that runs already, in place of a container of ours.
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
        # Queues are told by URL: by one that works on this side of the container, and of the form
        # that the provider takes.
        "LOCALSTACK_HOST": f"{LOOPBACK}:{port}",
        "SQS_ENDPOINT_STRATEGY": "off",
        "SERVICES": SERVICES,
        "EAGER_SERVICE_LOADING": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        # Links and forms are checked, as on AWS.
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
    }.items():
        container.with_env(name, value)
    with container:
        endpoint = f"http://{LOOPBACK}:{port}"
        give_up_at = time.monotonic() + START_SECONDS
        while not healthy(endpoint):
            assert time.monotonic() < give_up_at, container.get_logs()
            time.sleep(0.5)
        yield endpoint


def healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5) as answer:
            return bool(json.load(answer))
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="module")
def subset(localstack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    folder: Path = tmp_path_factory.mktemp("localstack")
    tree = terraform.copy(tmp_path_factory.mktemp("terraform"))
    with ground(folder) as standing:
        cloud = Cloud(localstack, {"dynamodb": standing.cloud.endpoint})
        standing = standing.on(cloud)
        before = inventory(cloud, whole=False)
        lab = terraform.root(tree, "lab", cloud.environment, standing.variables("localstack"))
        lab.apply()
        yield Applied(standing, lab, lab, lab.output(), before)


def test_a_second_plan_changes_nothing(subset: Applied) -> None:
    assert changed(subset.lab.plan()) == {}


def test_a_photo_is_developed_and_an_order_of_it_shipped(subset: Applied, tmp_path: Path) -> None:
    with at_work(subset.ground, subset.output), closing(Api(subset.ground.api)) as api:
        shopping.sign_in(api)
        image = shopping.develop(api, tmp_path)
        assert image["status"] == "developed"
        order = shopping.order(api, image)
        assert [step["status"] for step in order["history"]] == shopping.SHIPPED
        give_up_at = time.monotonic() + MAIL_SECONDS
        while (sent := mails(subset.ground.cloud.endpoint)) < shopping.MAILS:
            assert time.monotonic() < give_up_at, f"{sent} e-mails of {shopping.MAILS}"
            time.sleep(0.2)
        assert sent == shopping.MAILS


def mails(endpoint: str) -> int:
    """How many e-mails LocalStack was given."""
    with urllib.request.urlopen(f"{endpoint}/_aws/ses", timeout=10) as answer:
        return len(json.load(answer)["messages"])


def test_destroy_leaves_nothing(subset: Applied) -> None:
    assert inventory(subset.ground.cloud, whole=False) != subset.before
    subset.lab.destroy()
    assert inventory(subset.ground.cloud, whole=False) == subset.before
