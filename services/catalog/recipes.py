"""Reads the recipes of a deployment from `terraform/lab/recipes.yaml`.

Functions get them as JSON in their environment, so that none needs a YAML parser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.imaging.model import Recipe
from services.imaging.recipes import STANDARD, InvalidRecipesError, Recipes, parse
from services.platform.errors import ConfigurationError

# Lambda's limit for all variables of a function is 4 KB:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
JSON_BYTES_MAX = 3_000


@dataclass(frozen=True)
class RecipeFile:
    """Valid recipes. `text` is the document as compact JSON, the same as Terraform's."""

    recipes: Mapping[str, Recipe]
    text: str

    def with_default(self, name: str = STANDARD) -> Recipes:
        """The recipes with the default `name`. Raises ConfigurationError."""
        return Recipes(self.recipes, checked_default(self.recipes, name))


def load(path: Path) -> RecipeFile:
    """The recipes in a YAML file. Raises ConfigurationError with every mistake in it."""
    import yaml  # only here: PyYAML has no place in a handler's cold start

    from services.platform.yaml_reader import parse_yaml

    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["the file does not exist"]) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(str(path), [f"expected YAML: {error}"]) from None
    try:
        recipes = parse(document)
    except InvalidRecipesError as error:
        raise ConfigurationError(str(path), list(error.mistakes)) from None
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    if len(text) > JSON_BYTES_MAX:
        raise ConfigurationError(
            str(path),
            [
                f"the recipes have {len(text):,} bytes as JSON; expected at most "
                f"{JSON_BYTES_MAX:,}, which fit into a function's environment"
            ],
        )
    return RecipeFile(recipes, text)


def decode(text: str) -> Mapping[str, Recipe]:
    """The recipes in JSON. Raises ValueError."""
    document: Any = json.loads(text)
    return parse(document)


def checked_default(recipes: Mapping[str, Recipe], name: str) -> str:
    """`name`, if there is such a recipe. Raises ConfigurationError."""
    if name not in recipes:
        expected = ", ".join(sorted(recipes))
        raise ConfigurationError("recipe", [f"recipe must be one of {expected}, got {name!r}"])
    return name
