"""Cancels one order of a customer's."""

import os
from dataclasses import dataclass

from services.orders.api import CANCEL_ORDER
from services.orders.create_order import Cancellation
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = http_function(
    CANCEL_ORDER, Cancellation(orders, client("sns"), configuration.topic_arn).cancel
)
