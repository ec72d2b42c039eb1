"""Recipes: the file of the lab, and documents with mistakes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from services.catalog import recipes as files
from services.catalog.configuration import DevelopmentConfiguration
from services.imaging.isolation import IsolatedDeveloper
from services.imaging.model import (
    Cover,
    Focus,
    JpegFlavour,
    Limits,
    OutputFormat,
    Recipe,
    RenditionSpec,
)
from services.imaging.recipes import InvalidRecipesError, Recipes, parse
from services.platform.configuration import read, read_all
from services.platform.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "terraform" / "lab" / "recipes.yaml"


def minimal(**changes: Any) -> dict[str, Any]:
    return {"sizes": {"thumb": {"long_edge": 256}}, "formats": {"jpeg": {}}} | changes


def test_file_of_the_lab_is_valid_and_its_standard_is_the_builtin_one() -> None:
    found = files.load(LAB)
    assert found.recipes["standard"] == Recipe()
    assert any(OutputFormat.AVIF in recipe.formats for recipe in found.recipes.values())


def test_recipe_with_every_field_is_read() -> None:
    document = {
        "shop": {
            "sharpening": 30,
            "sizes": {
                "large": {"long_edge": 2000, "jpeg": "progressive", "sharpening": 0},
                "tile": {"fit": "cover", "width": 400, "height": 300, "focus": "top"},
            },
            "formats": {
                "avif": {"quality": 50, "speed": 6},
                "webp": {"quality": 70, "effort": 6},
                "jpeg": {"quality": 75, "flavour": "baseline"},
            },
        }
    }
    (recipe,) = parse(document).values()
    assert recipe == Recipe(
        renditions=(
            RenditionSpec("tile", 400, JpegFlavour.BASELINE, Cover(400, 300, Focus.TOP), 30),
            RenditionSpec("large", 2000, JpegFlavour.PROGRESSIVE, None, 0),
        ),
        formats=(OutputFormat.JPEG, OutputFormat.WEBP, OutputFormat.AVIF),
        jpeg_quality=75,
        webp_quality=70,
        webp_method=6,
        avif_quality=50,
        avif_speed=6,
    )


def test_order_of_the_document_changes_nothing() -> None:
    document = yaml.safe_load(LAB.read_text(encoding="utf-8"))
    assert parse(_reversed(document)) == parse(document)


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return value


def test_all_mistakes_are_reported_together() -> None:
    document = {
        "Wrong name": minimal(),
        "a": minimal(sizes={}, colour="red"),
        "b": minimal(formats={"avif": {}, "gif": {}}),
        "c": minimal(sizes={"x": {"long_edge": 0}, "y": {"fit": "cover", "width": 10}}),
        "d": minimal(sizes={"x": {"fit": "fill", "long_edge": 100}}),
        "e": minimal(sizes={"x": {"long_edge": 100, "focus": "top"}}),
        "f": minimal(formats={"jpeg": {"quality": "high", "flavour": "sweet"}}),
        "g": [],
        "h": minimal(sharpening=500, sizes={"x": {"long_edge": True}}),
    }
    with pytest.raises(InvalidRecipesError) as caught:
        parse(document)
    beginnings = [
        "Wrong name: a recipe's name must be",
        "a.colour is not a known field",
        "a.sizes must have 1 to 12 sizes, got 0",
        "b.formats must have jpeg or webp",
        "b.formats.gif is not a known field; expected avif, jpeg, webp",
        "c.sizes.x.long_edge must be a whole number 16..8192, got 0",
        "c.sizes.y.width must be a whole number 16..8192, got 10",
        "c.sizes.y.height must be a whole number 16..8192, got None",
        "d.sizes.x.fit must be one of inside, cover, got 'fill'",
        "e.sizes.x.focus has no use with fit inside",
        "f.formats.jpeg.quality must be a whole number 1..100, got 'high'",
        "f.formats.jpeg.flavour must be one of baseline, progressive, got 'sweet'",
        "g must be a mapping, got []",
        "h.sharpening must be a whole number 0..200, got 500",
        "h.sizes.x.long_edge must be a whole number 16..8192, got True",
    ]
    for beginning in beginnings:
        assert any(m.startswith(beginning) for m in caught.value.mistakes), beginning


@pytest.mark.parametrize("document", [None, [], {}, "standard", {"a": None}])
def test_document_without_recipes_is_refused(document: Any) -> None:
    with pytest.raises(InvalidRecipesError):
        parse(document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [", "expected YAML"), ("a: {}", r"a\.sizes must be a mapping")],
)
def test_file_with_mistakes_is_refused_by_its_name(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "recipes.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        files.load(path)
    assert "recipes.yaml" in str(caught.value)


def test_file_that_does_not_fit_into_an_environment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipes.yaml"
    path.write_text(json.dumps({f"recipe-{i}": minimal() for i in range(60)}))
    with pytest.raises(ConfigurationError, match=r"expected at most 3,000"):
        files.load(path)


def test_chosen_recipe_is_the_default_one_without_a_known_name() -> None:
    a, b = Recipe(jpeg_quality=70), Recipe(jpeg_quality=90)
    recipes = Recipes({"a": a, "b": b}, "b")
    assert [recipes.chosen(name) for name in ("a", "b", None, "", "unknown")] == [a, b, b, b, b]


def test_functions_get_the_file_as_json() -> None:
    found = files.load(LAB)
    environment = {"RECIPES": found.text, "RECIPE": "compact"}
    configuration = read(DevelopmentConfiguration, environment)
    assert configuration.recipes == Recipes(found.recipes, "compact")
    assert read(DevelopmentConfiguration, {}).recipes.chosen(None) == Recipe()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RECIPES": "{"}, "RECIPES must be JSON"),
        ({"RECIPES": '{"a": {}}'}, r"RECIPES: a\.sizes must be a mapping"),
        ({"RECIPE": "none"}, "recipe must be one of standard, got 'none'"),
    ],
)
def test_configuration_with_invalid_recipes_is_refused(
    environment: dict[str, str], expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        read_all(environment, DevelopmentConfiguration, DevelopmentConfiguration)


def test_reading_recipes_loads_no_yaml() -> None:
    code = (
        "import sys; from services.catalog import configuration; "
        "assert 'yaml' not in sys.modules and 'PIL' not in sys.modules"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=ROOT)


@pytest.mark.parametrize("name", sorted(files.load(LAB).recipes))
def test_every_recipe_of_the_lab_develops_in_the_confined_process(name: str) -> None:
    """The process can import nothing while it develops."""
    recipe = files.load(LAB).recipes[name]
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((300, 200)).convert("RGB").save(buffer, "JPEG")
    developer = IsolatedDeveloper()
    try:
        developed = developer.develop(buffer.getvalue(), recipe, Limits())
    finally:
        developer.stop()
    assert {r.name for r in developed.renditions} == {spec.name for spec in recipe.renditions}
