"""Lists products and their stock."""

import os

from services.orders.console_api import LIST_STOCK
from services.orders.list_stock import ListStock
from services.orders.products import Products
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(LIST_STOCK, ListStock(Products(database)).handle)
