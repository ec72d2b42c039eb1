"""Reads named recipes from a document of plain values (parsed YAML or JSON), and checks them.

    recipes = parse({"standard": {"sizes": {"thumb": {"long_edge": 256}}, "formats": {"jpeg": {}}}})

Imports nothing that reads files: functions get the document as JSON. `terraform/lab/recipes.yaml`
describes the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from services.imaging.model import (
    Cover,
    Focus,
    JpegFlavour,
    OutputFormat,
    Recipe,
    RenditionSpec,
)

STANDARD = "standard"
# A name becomes part of keys in S3 and of object metadata.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_EDGE_PIXELS = (16, 8_192)
_SIZES_MAX = 12
_QUALITY, _WEBP_EFFORT, _AVIF_SPEED = (1, 100), (0, 6), (0, 10)
_SHARPENING_PERCENT = (0, 200)
_FIELDS = frozenset({"sizes", "formats", "sharpening"})
_INSIDE, _COVER = frozenset({"long_edge"}), frozenset({"width", "height", "focus"})
_SIZE_FIELDS = _INSIDE | _COVER | {"fit", "jpeg", "sharpening"}
_FORMAT_FIELDS = {
    OutputFormat.JPEG: frozenset({"quality", "flavour"}),
    OutputFormat.WEBP: frozenset({"quality", "effort"}),
    OutputFormat.AVIF: frozenset({"quality", "speed"}),
}
_DEFAULT = Recipe()

Choice = TypeVar("Choice", bound=StrEnum)


class InvalidRecipesError(ValueError):
    """The document has mistakes; `mistakes` names all of them."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


class Fit(StrEnum):
    """How a photo is fitted into a size."""

    INSIDE = "inside"
    COVER = "cover"


@dataclass(frozen=True)
class Recipes:
    """The recipes of a deployment by name, and the name of the one for uploads that choose none."""

    by_name: Mapping[str, Recipe]
    default: str

    def chosen(self, name: str | None) -> Recipe:
        """The recipe `name`; the default one for None and for a name that does not exist."""
        return self.by_name.get(name or self.default) or self.by_name[self.default]


def only(recipe: Recipe) -> Recipes:
    """`recipe` alone, as STANDARD."""
    return Recipes({STANDARD: recipe}, STANDARD)


def parse(document: Any) -> dict[str, Recipe]:
    """The recipes in `document`, by name. Raises InvalidRecipesError."""
    reader = _Reader()
    recipes = {}
    for name, value in reader.mapping(document, "the document").items():
        reader.name(name, name, "a recipe's name")
        recipes[name] = _recipe(reader, value, name)
    if not recipes:
        reader.mistakes.append("the document must have at least one recipe, got none")
    if reader.mistakes:
        raise InvalidRecipesError(reader.mistakes)
    return recipes


def _recipe(reader: _Reader, value: Any, path: str) -> Recipe:
    fields = reader.fields(value, path, _FIELDS)
    formats = reader.mapping(fields.get("formats"), f"{path}.formats")
    options = {
        output: reader.fields(
            formats[output.value] or {}, f"{path}.formats.{output.value}", _FORMAT_FIELDS[output]
        )
        for output in OutputFormat
        if output.value in formats
    }
    reader.unknown(formats, f"{path}.formats", {output.value for output in OutputFormat})
    if not options.keys() - {OutputFormat.AVIF}:
        # AVIF comes later, and a photo needs a picture when it is announced.
        reader.mistakes.append(f"{path}.formats must have jpeg or webp")
    jpeg, webp, avif = (options.get(output, {}) for output in OutputFormat)
    at = f"{path}.formats"
    flavour = reader.choice(jpeg, f"{at}.jpeg", "flavour", JpegFlavour, JpegFlavour.BASELINE)
    sharpening = reader.integer(fields, path, "sharpening", _SHARPENING_PERCENT, 0)
    return Recipe(
        renditions=_sizes(reader, fields.get("sizes"), f"{path}.sizes", flavour, sharpening),
        formats=tuple(output for output in OutputFormat if output in options),
        jpeg_quality=reader.integer(jpeg, f"{at}.jpeg", "quality", _QUALITY, _DEFAULT.jpeg_quality),
        webp_quality=reader.integer(webp, f"{at}.webp", "quality", _QUALITY, _DEFAULT.webp_quality),
        webp_method=reader.integer(
            webp, f"{at}.webp", "effort", _WEBP_EFFORT, _DEFAULT.webp_method
        ),
        avif_quality=reader.integer(avif, f"{at}.avif", "quality", _QUALITY, _DEFAULT.avif_quality),
        avif_speed=reader.integer(avif, f"{at}.avif", "speed", _AVIF_SPEED, _DEFAULT.avif_speed),
    )


def _sizes(
    reader: _Reader, value: Any, path: str, flavour: JpegFlavour, sharpening: int
) -> tuple[RenditionSpec, ...]:
    """The sizes from the smallest to the largest."""
    specs = []
    for name, item in reader.mapping(value, path).items():
        at = f"{path}.{name}"
        reader.name(name, at, "a size's name")
        fields = reader.fields(item, at, _SIZE_FIELDS)
        fit = reader.choice(fields, at, "fit", Fit, Fit.INSIDE)
        reader.refuse(fields, at, _INSIDE if fit is Fit.COVER else _COVER, f"fit {fit.value}")
        cover = None
        if fit is Fit.COVER:
            cover = Cover(
                reader.integer(fields, at, "width", _EDGE_PIXELS),
                reader.integer(fields, at, "height", _EDGE_PIXELS),
                reader.choice(fields, at, "focus", Focus, Focus.CENTRE),
            )
            long_edge = max(cover.width, cover.height)
        else:
            long_edge = reader.integer(fields, at, "long_edge", _EDGE_PIXELS)
        specs.append(
            RenditionSpec(
                name,
                long_edge,
                reader.choice(fields, at, "jpeg", JpegFlavour, flavour),
                cover,
                reader.integer(fields, at, "sharpening", _SHARPENING_PERCENT, sharpening),
            )
        )
    if not 1 <= len(specs) <= _SIZES_MAX:
        reader.mistakes.append(f"{path} must have 1 to {_SIZES_MAX} sizes, got {len(specs)}")
    return tuple(sorted(specs, key=lambda spec: (spec.long_edge_pixels, spec.name)))


class _Reader:
    """Takes values out of the document, and gathers what is wrong."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return {str(key): item for key, item in value.items()}
        self.mistakes.append(f"{path} must be a mapping, got {value!r}")
        return {}

    def fields(self, value: Any, path: str, known: frozenset[str]) -> dict[str, Any]:
        """A mapping that has known fields only."""
        found = self.mapping(value, path)
        self.unknown(found, path, known)
        return found

    def unknown(self, found: Mapping[str, Any], path: str, known: Any) -> None:
        self.mistakes += [
            f"{path}.{key} is not a known field; expected {', '.join(sorted(known))}"
            for key in sorted(found.keys() - known)
        ]

    def refuse(
        self, found: Mapping[str, Any], path: str, refused: frozenset[str], why: str
    ) -> None:
        self.mistakes += [
            f"{path}.{key} has no use with {why}" for key in sorted(found.keys() & refused)
        ]

    def name(self, name: str, path: str, what: str) -> None:
        if _NAME.fullmatch(name) is None:
            self.mistakes.append(
                f"{path}: {what} must be 1 to 32 lower case letters, digits and dashes, and begin "
                f"with a letter; got {name!r}"
            )

    def integer(
        self,
        found: Mapping[str, Any],
        path: str,
        name: str,
        allowed: tuple[int, int],
        default: int | None = None,
    ) -> int:
        """A whole number in `allowed`; required without a default."""
        low, high = allowed
        if name not in found and default is not None:
            return default
        value = found.get(name)
        if type(value) is not int or not low <= value <= high:
            self.mistakes.append(
                f"{path}.{name} must be a whole number {low}..{high}, got {value!r}"
            )
            return low
        return value

    def choice(
        self,
        found: Mapping[str, Any],
        path: str,
        name: str,
        choices: type[Choice],
        default: Choice,
    ) -> Choice:
        if name not in found:
            return default
        try:
            return choices(str(found[name]))
        except ValueError:
            expected = ", ".join(choice.value for choice in choices)
            self.mistakes.append(f"{path}.{name} must be one of {expected}, got {found[name]!r}")
            return default
