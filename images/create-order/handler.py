"""Takes an order and starts its workflow."""

import os
from dataclasses import dataclass

from services.orders.api import CREATE_ORDER
from services.orders.shop import Counter
from services.orders.starting import Starter
from services.orders.store import Orders
from services.platform.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.http import http_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    workflow_arn: str = variable("ORDER_WORKFLOW_ARN", help="the order's state machine")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = http_function(
    CREATE_ORDER,
    Counter(
        orders,
        Starter(
            orders,
            client("stepfunctions"),
            client("sns"),
            configuration.workflow_arn,
            configuration.topic_arn,
        ),
    ).order,
)
