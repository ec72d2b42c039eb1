"""Starts orders whose start was interrupted."""

import os

from services.orders.start_orders import StartOrders
from services.orders.start_workflows import WorkflowConfiguration, make_starter
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function

configuration, of_database = read_all(os.environ, WorkflowConfiguration, DatabaseConfiguration)
orders = Orders(Database(of_database))
starter = make_starter(configuration, orders, client("stepfunctions"), client("sns"))
handler = queue_function(StartOrders(orders, starter.start).handle)
