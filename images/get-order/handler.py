"""Shows one of the caller's orders, with its history."""

import os

from services.orders.api import GET_ORDER
from services.orders.get_order import GetOrder
from services.orders.store import Orders
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(GET_ORDER, GetOrder(Orders(database)).handle)
