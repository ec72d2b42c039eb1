"""Writes the print files and the job sheet of an order, and uses up its paper."""

import os
from dataclasses import dataclass

from services.catalog.store import Catalog
from services.orders.fulfill_order import FulfillOrder
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    prints_bucket: str = variable("PRINTS_BUCKET", help="bucket of the print files")
    images_table: str = variable("IMAGES_TABLE", help="table of the photo catalogue")
    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
handler = workflow_task(
    FulfillOrder(
        orders=orders,
        catalog=Catalog(client("dynamodb"), configuration.images_table),
        s3=client("s3"),
        sns=client("sns"),
        originals_bucket=configuration.originals_bucket,
        renditions_bucket=configuration.renditions_bucket,
        prints_bucket=configuration.prints_bucket,
        topic_arn=configuration.topic_arn,
    ).handle,
    client("stepfunctions"),
)
