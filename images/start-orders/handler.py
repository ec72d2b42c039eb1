"""Starts orders whose start was cut off."""

import os
from dataclasses import dataclass

from services.orders.starting import Starter, StartOrders
from services.orders.store import Orders
from services.platform.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.queue import queue_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    workflow_arn: str = variable("ORDER_WORKFLOW_ARN", help="the order's state machine")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
starter = Starter(
    orders,
    client("stepfunctions"),
    client("sns"),
    configuration.workflow_arn,
    configuration.topic_arn,
)
handler = queue_function(StartOrders(orders, starter.start).handle)
