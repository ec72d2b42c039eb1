"""LocalStack and MiniStack in containers, as the AWS services of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from services.local.aws_session import LocalSession
from services.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from tests.containers.engine import Engine, answers, running
from tests.support.waiting import eventually

LOCALSTACK = "localstack/localstack:4.14.0"
MINISTACK = "ministackorg/ministack:1.5.33"
EDGE_PORT = 4566


@dataclass(frozen=True)
class Cloud:
    """LocalStack, and MiniStack for DynamoDB, which the LocalStack stand-in lacks."""

    engine: Engine
    network: Network
    localstack: str
    ministack: str

    @classmethod
    @contextmanager
    def started(cls, engine: Engine) -> Iterator[Cloud]:
        network = Network(docker_network_kw={"labels": engine.labels})
        variables = {
            "LOCALSTACK_HOST": f"localstack:{EDGE_PORT}",
            "SQS_ENDPOINT_STRATEGY": "path",
            "EAGER_SERVICE_LOADING": "1",
            "SERVICES": "s3,sqs,sns,ses,sts,secretsmanager,stepfunctions,events",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
        }
        with network, ExitStack() as stack:
            urls = []
            for image, alias, health in (
                (LOCALSTACK, "localstack", "/_localstack/health"),
                (MINISTACK, "ministack", "/_ministack/health"),
            ):
                container = (
                    DockerContainer(image)
                    .with_envs(**(variables if alias == "localstack" else {}))
                    .with_exposed_ports(EDGE_PORT)
                    .with_network(network)
                    .with_network_aliases(alias)
                    .with_kwargs(labels=engine.labels)
                )
                stack.enter_context(running(container))
                url = f"http://127.0.0.1:{container.get_exposed_port(EDGE_PORT)}"
                eventually(partial(answers, url + health), f"{image} is healthy")
                urls.append(url)
            yield cls(engine, network, *urls)

    def client(self, service: str) -> Any:
        """An AWS client for the test process."""
        return LocalSession(self.ministack if service == "dynamodb" else self.localstack).client(
            service
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a container in the network reaches both."""
        return aws_environment() | {
            "AWS_ENDPOINT_URL": f"http://localstack:{EDGE_PORT}",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://ministack:{EDGE_PORT}",
        }


def aws_environment() -> dict[str, str]:
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
