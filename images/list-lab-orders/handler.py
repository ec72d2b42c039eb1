"""Lists all customers' orders by status."""

import os

from services.orders.console_api import LIST_LAB_ORDERS
from services.orders.list_lab_orders import ListLabOrders
from services.orders.store import Orders
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(LIST_LAB_ORDERS, ListLabOrders(Orders(database)).handle)
