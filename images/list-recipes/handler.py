"""Lists the recipes of renditions."""

import os

from services.catalog.api import LIST_RECIPES
from services.catalog.configuration import RecipeConfiguration
from services.catalog.list_recipes import ListRecipes
from services.platform.configuration import read
from services.platform.functions.http import http_function

handler = http_function(
    LIST_RECIPES, ListRecipes(read(RecipeConfiguration, os.environ).recipes).handle
)
