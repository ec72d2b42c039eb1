"""GET /recipes: what the page and customers' programs need to know of the recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from services.catalog import recipes
from services.catalog.api import RecipeList
from services.catalog.list_recipes import ListRecipes
from services.platform.functions.http import Request

FILE = Path(__file__).resolve().parents[3] / "terraform" / "lab" / "recipes.yaml"


def listed(default: str = "standard") -> dict[str, Any]:
    found = recipes.load(FILE).with_default(default)
    request = Request(None, None, {}, "/recipes", "127.0.0.1", "request-1", b"", None)
    response = ListRecipes(found).handle(request)
    assert response.status == 200
    assert isinstance(response.body, RecipeList)
    document: dict[str, Any] = msgspec.to_builtins(response.body)
    return document


def test_list_recipes_states_sizes_and_formats_of_each() -> None:
    document = listed()
    assert document["default"] == "standard"
    names = [recipe["name"] for recipe in document["recipes"]]
    assert names == sorted(names) == ["compact", "standard", "web"]
    compact = document["recipes"][0]
    assert compact["formats"] == ["jpeg", "webp", "avif"]
    assert compact["sizes"][0] == {"name": "thumb", "fit": "inside", "long_edge": 256}


def test_list_recipes_states_what_a_size_cuts() -> None:
    sizes = {size["name"]: size for size in listed()["recipes"][2]["sizes"]}
    assert sizes["banner"] == {"name": "banner", "fit": "cover", "width": 1600, "height": 600}


def test_list_recipes_names_the_default_of_the_deployment() -> None:
    assert listed("web")["default"] == "web"
