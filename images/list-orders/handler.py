"""Lists the caller's orders, newest first."""

import os

from services.orders.api import LIST_ORDERS
from services.orders.list_orders import ListOrders
from services.orders.store import Orders
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(LIST_ORDERS, ListOrders(Orders(database)).handle)
