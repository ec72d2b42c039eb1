"""Closes an order that cannot go on, and gives its paper and its money back."""

import os
from dataclasses import dataclass

from services.orders.steps.fail_order import FailOrder
from services.orders.store import Orders
from services.payments.charging import Charging
from services.payments.configuration import LazyGateway, PaymentsConfiguration
from services.platform.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.idempotency import IdempotencyStore
from services.platform.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres and the provider."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    prints_bucket: str = variable("PRINTS_BUCKET", help="bucket of the print files")
    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("PAYMENTS_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than an order may take, with all that can go wrong.
    keep_seconds: float = variable("PAYMENTS_KEEP_SECONDS", default=90 * 24 * 3600.0, minimum=60)


configuration, of_database, of_payments = read_all(
    os.environ, Configuration, DatabaseConfiguration, PaymentsConfiguration
)
orders = Orders(Database(of_database))
store = IdempotencyStore(
    client("dynamodb"),
    configuration.idempotency_table,
    configuration.lease_seconds,
    configuration.keep_seconds,
)
gateway = LazyGateway(of_payments, client("secretsmanager"))


def charging() -> Charging:
    return Charging(gateway.get(), store)


handler = workflow_task(
    FailOrder(
        orders,
        charging,
        client("s3"),
        client("sns"),
        configuration.prints_bucket,
        configuration.topic_arn,
    ).run,
    client("stepfunctions"),
)
