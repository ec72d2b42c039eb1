"""Creates an order and starts its workflow."""

import os

from services.orders.api import CREATE_ORDER
from services.orders.create_order import CreateOrder
from services.orders.start_workflows import WorkflowConfiguration, make_starter
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

configuration, of_database = read_all(os.environ, WorkflowConfiguration, DatabaseConfiguration)
orders = Orders(Database(of_database))
starter = make_starter(configuration, orders, client("stepfunctions"), client("sns"))
handler = http_function(CREATE_ORDER, CreateOrder(orders, starter).handle)
