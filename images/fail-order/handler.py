"""Closes an order whose workflow failed; releases its paper, refunds its payment, deletes its
print files."""

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
    """Environment variables of this function alone."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")
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
    ).handle,
    client("stepfunctions"),
)
