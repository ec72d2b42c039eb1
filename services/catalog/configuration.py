"""Configuration of the functions that develop photos."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from services.catalog.recipes import checked_default, decode
from services.imaging.model import Limits, Recipe
from services.imaging.recipes import STANDARD, InvalidRecipesError, Recipes
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError

MIB = 1024 * 1024
# What the handler's own process needs beside the one that decodes.
HANDLER_MIB = 128
_LIMITS = Limits()


@dataclass(frozen=True)
class RecipeConfiguration:
    """Environment variables of the functions that know the recipes."""

    definitions: str = variable("RECIPES", default="")
    default_recipe: str = variable("RECIPE", default=STANDARD)

    def __post_init__(self) -> None:
        checked_default(self.recipes.by_name, self.default_recipe)

    @cached_property
    def recipes(self) -> Recipes:
        """The recipes of the deployment. Raises ConfigurationError."""
        if not self.definitions:
            return Recipes({STANDARD: Recipe()}, self.default_recipe)
        try:
            return Recipes(decode(self.definitions), self.default_recipe)
        except InvalidRecipesError as error:
            raise ConfigurationError("RECIPES", [f"RECIPES: {m}" for m in error.mistakes]) from None
        except ValueError as error:
            raise ConfigurationError("RECIPES", [f"RECIPES must be JSON: {error}"]) from None


@dataclass(frozen=True)
class DevelopmentConfiguration(RecipeConfiguration):
    """Environment variables of the functions that develop photos. They must agree on them."""

    max_mib: int = variable("PHOTO_MAX_MIB", default=_LIMITS.bytes_max // MIB, minimum=1)
    max_pixels: int = variable("PHOTO_MAX_PIXELS", default=_LIMITS.pixels_per_frame_max, minimum=1)
    max_frames: int = variable("PHOTO_MAX_FRAMES", default=_LIMITS.frames_max, minimum=1)
    max_pixels_in_all: int = variable(
        "PHOTO_MAX_PIXELS_IN_ALL", default=_LIMITS.pixels_in_all_max, minimum=1
    )
    max_seconds: float = variable("PHOTO_MAX_SECONDS", default=_LIMITS.seconds_max, minimum=1)
    # Set by Lambda and by the worker.
    memory_mib: int = variable(
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", default=_LIMITS.memory_bytes_max // MIB, minimum=128
    )

    @property
    def limits(self) -> Limits:
        """The limits of one photo."""
        return Limits(
            bytes_max=self.max_mib * MIB,
            pixels_per_frame_max=self.max_pixels,
            frames_max=self.max_frames,
            pixels_in_all_max=self.max_pixels_in_all,
            seconds_max=self.max_seconds,
            memory_bytes_max=max(self.memory_mib - HANDLER_MIB, 128) * MIB,
        )
