"""Closes an order that cannot go on, and gives its paper and its money back."""

import os
from dataclasses import dataclass

from services.orders.fail_order import FailOrder
from services.orders.store import Orders
from services.payments.configuration import PaymentsConfiguration
from services.payments.factory import ChargingConfiguration, lazy_charging
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres and the provider."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    prints_bucket: str = variable("PRINTS_BUCKET", help="bucket of the print files")


configuration, of_database, of_charging, of_payments = read_all(
    os.environ, Configuration, DatabaseConfiguration, ChargingConfiguration, PaymentsConfiguration
)
orders = Orders(Database(of_database))
charging = lazy_charging(of_charging, of_payments, client("dynamodb"), client("secretsmanager"))
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
