"""Lists the prints on sale."""

import os

from services.orders.api import LIST_PRODUCTS
from services.orders.list_products import ListProducts
from services.orders.products import Products
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(LIST_PRODUCTS, ListProducts(Products(database)).handle)
