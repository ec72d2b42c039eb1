"""list-recipes: answers GET /recipes."""

from __future__ import annotations

from dataclasses import dataclass

from services.catalog import api
from services.imaging.model import Recipe, RenditionSpec
from services.imaging.recipes import Fit, Recipes
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListRecipes:
    """Lists the recipes of the deployment, which change with it only."""

    recipes: Recipes

    def handle(self, _request: Request) -> Response:
        """Returns 200 with every recipe, sorted by name."""
        found = [_recipe(name, recipe) for name, recipe in sorted(self.recipes.by_name.items())]
        return Response(
            200,
            api.RecipeList(default=self.recipes.default, recipes=found),
            {"cache-control": "public, max-age=300"},
        )


def _recipe(name: str, recipe: Recipe) -> api.Recipe:
    return api.Recipe(
        name=name,
        sizes=[_size(spec) for spec in recipe.renditions],
        formats=[output.value for output in recipe.formats],
    )


def _size(spec: RenditionSpec) -> api.RecipeSize:
    if spec.cover is None:
        return api.RecipeSize(name=spec.name, fit=Fit.INSIDE.value, long_edge=spec.long_edge_pixels)
    return api.RecipeSize(
        name=spec.name, fit=Fit.COVER.value, width=spec.cover.width, height=spec.cover.height
    )
