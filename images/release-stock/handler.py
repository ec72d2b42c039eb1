"""Releases the paper that is reserved for an order that ended without prints."""

import os

from services.orders.release_stock import ReleaseStock
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task

orders = Orders(Database(read(DatabaseConfiguration, os.environ)))
handler = workflow_task(
    ReleaseStock(orders).handle,
    client("stepfunctions"),
)
