"""Reserves the paper for an order, all of it or none."""

import os

from services.orders.check_inventory import CheckInventory
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.task import workflow_task

orders = Orders(Database(read(DatabaseConfiguration, os.environ)))
handler = workflow_task(
    CheckInventory(orders).run,
    client("stepfunctions"),
)
