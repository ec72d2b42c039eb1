"""Cancels one of the caller's orders."""

import os
from dataclasses import dataclass

from services.orders.api import CANCEL_ORDER
from services.orders.cancel_order import CancelOrder
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = http_function(
    CANCEL_ORDER, CancelOrder(orders, client("sns"), configuration.topic_arn).handle
)
