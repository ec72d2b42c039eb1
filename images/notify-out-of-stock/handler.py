"""Publishes that an order is out of stock, so that its customer gets an e-mail."""

import os
from dataclasses import dataclass

from services.orders.notify_out_of_stock import NotifyOutOfStock
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = workflow_task(
    NotifyOutOfStock(orders, client("sns"), configuration.topic_arn).handle,
    client("stepfunctions"),
)
