"""Has a customer told that the paper for an order is out of stock."""

import os
from dataclasses import dataclass

from services.events.orders import OrderEventType
from services.orders.notify_customer import TellCustomer
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres and the provider."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = workflow_task(
    TellCustomer(orders, client("sns"), configuration.topic_arn, OrderEventType.OUT_OF_STOCK).run,
    client("stepfunctions"),
)
