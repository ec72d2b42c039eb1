"""Recipes that uploads choose, and what happens to the renditions of another recipe."""

from __future__ import annotations

import dataclasses

import pytest

from services.catalog.model import METADATA_RECIPE, ImageRecord, image_id
from services.imaging.model import Cover, JpegFlavour, OutputFormat, Recipe, RenditionSpec
from services.imaging.recipes import Recipes
from tests.integration.process_image.support import OWNER, RED, Environment

PLAIN = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))
TILES = Recipe(
    renditions=(RenditionSpec("tile", 20, JpegFlavour.BASELINE, Cover(20, 20)),),
    formats=(OutputFormat.JPEG, OutputFormat.WEBP),
)
RECIPES = Recipes({"plain": PLAIN, "tiles": TILES}, "plain")
KEY = "ann/1/a.jpg"


@pytest.fixture
def environment(environment: Environment) -> Environment:
    environment.processor = dataclasses.replace(environment.processor, recipes=RECIPES)
    return environment


def record(environment: Environment) -> ImageRecord:
    found = environment.catalog.image(OWNER, image_id(RED))
    assert found is not None
    return found


def test_upload_without_a_recipe_gets_the_default_one(environment: Environment) -> None:
    environment.handle(environment.upload(KEY, RED))
    found = record(environment)
    assert (found.recipe_name, found.recipe) == (None, PLAIN.version)
    assert [(r.name, r.format) for r in found.renditions] == [("thumb", "jpeg")]


def test_upload_with_a_recipe_gets_its_renditions(environment: Environment) -> None:
    environment.handle(environment.upload(KEY, RED, **{METADATA_RECIPE: "tiles"}))
    found = record(environment)
    assert (found.recipe_name, found.recipe) == ("tiles", TILES.version)
    assert [(r.name, r.format, r.width, r.height) for r in found.renditions] == [
        ("tile", "jpeg", 20, 20),
        ("tile", "webp", 20, 20),
    ]
    (event,) = environment.events()
    assert event.thumbnail_key == found.renditions[0].key


def test_upload_with_an_unknown_recipe_gets_the_default_one(environment: Environment) -> None:
    environment.handle(environment.upload(KEY, RED, **{METADATA_RECIPE: "none-of-these"}))
    assert record(environment).recipe == PLAIN.version


def test_second_upload_with_another_recipe_replaces_the_renditions(
    environment: Environment,
) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.handle(environment.upload("ann/2/b.jpg", RED, **{METADATA_RECIPE: "tiles"}))
    found = record(environment)
    assert found.recipe == TILES.version
    assert {r.key for r in found.renditions} == environment.rendition_keys()
