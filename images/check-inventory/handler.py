"""Reserves the paper for all prints of an order, or for none."""

import os

from services.orders.check_inventory import CheckInventory
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task

orders = Orders(Database(read(DatabaseConfiguration, os.environ)))
handler = workflow_task(
    CheckInventory(orders).handle,
    client("stepfunctions"),
)
