"""The order's state machine on LocalStack, with task images as workers and Postgres beside it."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from services.accounts.users import Users
from services.build.images import Built
from services.local import payment_sandbox, provision
from services.orders.model import Delivery, NewLine, NewOrder, OrderStatus, Product
from services.orders.products import Products
from services.orders.start_workflows import WorkflowStarter
from services.orders.store import Orders
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.manifest import Reference, Resource
from tests.containers.cloud import Cloud
from tests.containers.engine import answers, running
from tests.containers.function_containers import emulated
from tests.containers.lab import MANIFESTS, ROOT, ContainerLab, photo
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

POSTGRES = "postgres:17"
PASSWORD = "not-a-secret"
POSTGRES_PORT, PROVIDER_PORT = 5432, 8090
TASKS = ("validate-order", "check-inventory", "process-payment", "fulfill-order", "fail-order")
NOTIFY = ("notify-out-of-stock", "notify-payment-declined", "release-stock")
PRODUCT = Product("test-print", "Test print", "matte", 30, 40, 250, "EUR")


@dataclass(frozen=True)
class OrderLab:
    """A container lab with a database, a payment provider and the workers of the workflow."""

    lab: ContainerLab
    orders: Orders
    user_id: str
    image_id: str
    provider_url: str
    api_key: str

    def start(self, payment_method: str, product: Product = PRODUCT, quantity: int = 1) -> str:
        """Creates an order, starts its workflow and returns its id."""
        order = self.orders.create(
            NewOrder(
                self.user_id,
                "anna@darkroom.example",
                (NewLine(product.id, self.image_id, quantity),),
                payment_method,
                Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE"),
            )
        )
        made = self.lab.made
        WorkflowStarter(
            self.orders,
            self.lab.cloud.client("stepfunctions"),
            self.lab.cloud.client("sns"),
            made.workflow("order"),
            made.topic("order-events"),
        ).start(order)
        return order.id

    def ended(self, order_id: str) -> OrderStatus:
        """Waits for the end of the execution and returns the order's status."""
        states = self.lab.cloud.client("stepfunctions")
        machine = self.lab.made.workflow("order")

        def over() -> bool:
            found = states.list_executions(stateMachineArn=machine)["executions"]
            (one,) = [item for item in found if item["name"] == order_id]
            return bool(one["status"] != "RUNNING")

        eventually(over, f"the execution of {order_id} ends", seconds=120)
        order = self.orders.get(order_id)
        assert order is not None
        return order.status

    def charged(self, order_id: str) -> list[str]:
        """The status of each of the order's payments at the provider."""
        request = urllib.request.Request(
            f"{self.provider_url}/payments?order_id={order_id}",
            headers={"authorization": f"Bearer {self.api_key}"},
        )
        with urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS)) as answer:
            return [payment["status"] for payment in json.load(answer)["payments"]]


@pytest.fixture(scope="module")
def order_lab(cloud: Cloud, built: dict[str, Built]) -> Iterator[OrderLab]:
    payments = provision.Payments(api_key=uuid.uuid4().hex, webhook_secret=uuid.uuid4().hex)
    with ExitStack() as cleanup:
        server = (
            DockerContainer(POSTGRES)
            .with_envs(POSTGRES_DB="darkroom", POSTGRES_USER="darkroom", POSTGRES_PASSWORD=PASSWORD)
            .with_exposed_ports(POSTGRES_PORT)
            .with_network(cloud.network)
            .with_network_aliases("postgres")
            .with_kwargs(labels=cloud.engine.labels)
        )
        cleanup.enter_context(running(server))
        lab = ContainerLab(
            cloud,
            built,
            f"t{uuid.uuid4().hex[:8]}",
            cleanup,
            provision.Database(
                f"postgresql://darkroom@postgres:{POSTGRES_PORT}/darkroom?sslmode=disable",
                "darkroom",
                PASSWORD,
            ),
            payments,
        )
        provider_url = start_provider(cloud, built, payments, cleanup)
        migrate(lab)
        port = server.get_exposed_port(POSTGRES_PORT)
        reached = Database(
            read(
                DatabaseConfiguration,
                {
                    "DATABASE_URL": f"postgresql://darkroom@127.0.0.1:{port}/darkroom"
                    "?sslmode=disable",
                    "DATABASE_SECRET_ARN": lab.made.values[Reference(Resource.SECRET, "database")],
                },
            ),
            cloud.client("secretsmanager"),
        )
        with closing(reached):
            orders = Orders(reached)
            Products(orders.database).offer(PRODUCT, 5)
            user = Users(reached).create("anna@darkroom.example", "Anna", "no hash")
            lab.worker("process-image")
            for function in (*TASKS, *NOTIFY):
                # Containers of one network resolve each other by name.
                url = {"PAYMENTS_URL": f"http://payment-provider:{PROVIDER_PORT}"}
                lab.worker(function, **url)
            yield OrderLab(
                lab, orders, user.id, develop(lab, user.id), provider_url, payments.api_key
            )


def start_provider(
    cloud: Cloud, built: dict[str, Built], payments: provision.Payments, cleanup: ExitStack
) -> str:
    """Runs the sandbox provider in a container of a function image."""
    container = (
        DockerContainer(built["process-payment"].image)
        .with_kwargs(
            labels=cloud.engine.labels,
            entrypoint=["python", "-m", "services.local.payment_sandbox"],
            working_dir="/project",
        )
        .with_command(f"--host 0.0.0.0 --port {PROVIDER_PORT} --ledger /tmp/payments.sqlite")
        .with_envs(
            **{
                payment_sandbox.API_KEY: payments.api_key,
                payment_sandbox.WEBHOOK_SECRET: payments.webhook_secret,
            },
            PYTHONPATH="/project",
            PYTHONDONTWRITEBYTECODE="1",
        )
        .with_volume_mapping(str(ROOT / "services"), "/project/services", "ro")
        .with_exposed_ports(PROVIDER_PORT)
        .with_network(cloud.network)
        .with_network_aliases("payment-provider")
    )
    cleanup.enter_context(running(container))
    url = f"http://127.0.0.1:{container.get_exposed_port(PROVIDER_PORT)}"
    eventually(lambda: answers(f"{url}/health"), "the provider answers")
    return url


def migrate(lab: ContainerLab) -> None:
    """Runs the image of migrate-database, as a deployment does."""
    name = "migrate-database"
    with emulated(
        lab.cloud.engine,
        lab.built[name].image,
        lab.environment(name),
        memory_mib=MANIFESTS[name].memory_mib,
        network=lab.cloud.network,
    ) as function:

        def migrated() -> Any:
            answer = function.invoke({})
            return answer if "revision" in answer else None

        # Postgres may still be starting.
        answer = eventually(migrated, "the database is migrated", pause_seconds=1)
    assert answer["applied"]


def develop(lab: ContainerLab, user_id: str) -> str:
    """Uploads a photo, waits until it is developed, and returns its id."""
    key = f"{user_id}/{uuid.uuid4().hex}/photo.jpg"
    lab.cloud.client("s3").put_object(
        Bucket=lab.made.bucket("originals"), Key=key, Body=photo(1, 1200, 900)
    )

    def developed() -> str | None:
        source = lab.catalog.source(user_id, key)
        record = lab.catalog.image(user_id, source.image_id or "") if source else None
        return record.image_id if record is not None and record.settled else None

    return str(eventually(developed, "the photo is developed"))


def test_workflow_reaches_each_of_its_ends(order_lab: OrderLab) -> None:
    poster = Product("test-poster", "Test poster", "matte", 300, 400, 2500, "EUR")
    Products(order_lab.orders.database).offer(poster, 5)
    started = {
        OrderStatus.FULFILLED: order_lab.start("sandbox-ok"),
        OrderStatus.OUT_OF_STOCK: order_lab.start("sandbox-ok", quantity=50),
        OrderStatus.PAYMENT_DECLINED: order_lab.start("sandbox-declined"),
        OrderStatus.REJECTED: order_lab.start("sandbox-ok", poster),
    }
    ended = {status: order_lab.ended(order_id) for status, order_id in started.items()}
    assert ended == {status: status for status in started}
    assert order_lab.charged(started[OrderStatus.FULFILLED]) == ["charged"]
    assert "charged" not in order_lab.charged(started[OrderStatus.PAYMENT_DECLINED])
    stock = Products(order_lab.orders.database).stock_levels()[PRODUCT.id]
    assert (stock.on_hand, stock.reserved, stock.sold) == (4, 0, 1)
    prints = order_lab.lab.cloud.client("s3").list_objects_v2(
        Bucket=order_lab.lab.made.bucket("prints")
    )["Contents"]
    assert len([item for item in prints if started[OrderStatus.FULFILLED] in item["Key"]]) == 2
