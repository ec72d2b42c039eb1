"""Charges an order, exactly once."""

import os
from dataclasses import dataclass

from services.orders.declined_payments import DeclinedPayments
from services.orders.process_payment import ProcessPayment
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
    usage_table: str = variable("USAGE_TABLE", help="table that counts uses by account and address")


configuration, of_database, of_charging, of_payments = read_all(
    os.environ, Configuration, DatabaseConfiguration, ChargingConfiguration, PaymentsConfiguration
)
orders = Orders(Database(of_database))
dynamodb = client("dynamodb")
charging = lazy_charging(of_charging, of_payments, dynamodb, client("secretsmanager"))
handler = workflow_task(
    ProcessPayment(
        orders,
        charging,
        client("sns"),
        configuration.topic_arn,
        DeclinedPayments(dynamodb, configuration.usage_table),
    ).handle,
    client("stepfunctions"),
)
