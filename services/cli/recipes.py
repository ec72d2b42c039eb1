"""`darkroom recipes`: checks the recipes of this checkout, and lists them."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from services.catalog.recipes import load
from services.cli.options import ExitCode, Json
from services.cli.output import print_json
from services.imaging.model import LATE_FORMAT, OutputFormat, Recipe, RenditionSpec
from services.imaging.recipes import STANDARD
from services.local.state import PROJECT
from services.local.terminal import page
from services.platform.checkout import require_checkout

RECIPES = PROJECT / "terraform" / "lab" / "recipes.yaml"


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command("recipes")(show_recipes)


def show_recipes(json: Json = False) -> ExitCode:
    """Check and list the recipes in terraform/lab/recipes.yaml.

    Exit code 0: valid; 1: the file has mistakes, which are all named.
    """
    require_checkout("recipes")
    recipes = load(RECIPES).recipes
    if json:
        print_json([_document(name, recipe) for name, recipe in sorted(recipes.items())])
        return ExitCode.DONE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("recipe", "version", "sizes", "formats"):
        table.add_column(heading)
    for name, recipe in sorted(recipes.items()):
        sizes = "\n".join(map(_size, recipe.renditions))
        formats = "\n".join(_format(output, recipe) for output in recipe.formats)
        table.add_row(name, recipe.version, sizes, formats)
    page.print(table)
    page.print(
        f"`darkroom up --recipe NAME` chooses one, {STANDARD} by default; uploads may choose "
        "another."
    )
    return ExitCode.DONE


def _size(spec: RenditionSpec) -> str:
    text = f"{spec.name}: {spec.long_edge_pixels} px"
    if spec.cover is not None:
        cover = spec.cover
        text = f"{spec.name}: {cover.width} x {cover.height} px, {cover.focus.value}"
    if spec.sharpening_percent:
        text += f", sharpened by {spec.sharpening_percent} %"
    return text


def _format(output: OutputFormat, recipe: Recipe) -> str:
    late = " (by add-avif)" if output is LATE_FORMAT else ""
    return f"{output.value} {_quality(output, recipe)}{late}"


def _quality(output: OutputFormat, recipe: Recipe) -> int:
    return {
        OutputFormat.JPEG: recipe.jpeg_quality,
        OutputFormat.WEBP: recipe.webp_quality,
        OutputFormat.AVIF: recipe.avif_quality,
    }[output]


def _document(name: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": name,
        "version": recipe.version,
        "sizes": [spec.name for spec in recipe.renditions],
        "formats": [output.value for output in recipe.formats],
    }
