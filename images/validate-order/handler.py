"""Checks that the photos of an order exist and have enough pixels to print."""

import os
from dataclasses import dataclass

from services.catalog.store import Catalog
from services.orders.store import Orders
from services.orders.validate_order import ValidateOrder
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    images_table: str = variable("IMAGES_TABLE", help="table of the photo catalogue")
    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = workflow_task(
    ValidateOrder(
        orders,
        Catalog(client("dynamodb"), configuration.images_table),
        client("sns"),
        configuration.topic_arn,
    ).handle,
    client("stepfunctions"),
)
