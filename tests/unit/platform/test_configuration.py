from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from services.platform.configuration import read, variable
from services.platform.errors import ConfigurationError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Example:
    name: str = variable("NAME", help="who it is")
    count: int = variable("COUNT", default=3, minimum=1, maximum=9)
    ratio: float = variable("RATIO", default=0.5, minimum=0)
    on: bool = variable("ON", default=False)
    colours: tuple[Colour, ...] = variable("COLOURS", default=(Colour.RED,))
    folder: Path | None = variable("FOLDER", default=None)


def test_defaults_and_every_type() -> None:
    assert read(Example, {"NAME": "a"}) == Example("a", 3, 0.5, False, (Colour.RED,), None)
    environ = {
        "NAME": " b ",
        "COUNT": "9",
        "RATIO": "1.5",
        "ON": "Yes",
        "COLOURS": "blue, RED",
        "FOLDER": "/x",
    }
    assert read(Example, environ) == Example(
        "b", 9, 1.5, True, (Colour.BLUE, Colour.RED), Path("/x")
    )


def test_all_mistakes_are_reported_together_each_by_its_name() -> None:
    environ = {"COUNT": "10", "RATIO": "x", "ON": "maybe", "COLOURS": "red,green"}
    with pytest.raises(ConfigurationError) as caught:
        read(Example, environ)
    assert caught.value.mistakes == (
        "NAME is not set (who it is)",
        "COUNT must be at least 1 and at most 9, got '10'",
        "RATIO must be a number, got 'x'",
        "ON must be one of true, false, yes, no, on, off, 1, 0, got 'maybe'",
        "COLOURS must be one of red, blue, got 'red,green'",
    )


def test_empty_text_counts_as_not_set() -> None:
    assert read(Example, {"NAME": "a", "COUNT": "  "}).count == 3
    with pytest.raises(ConfigurationError, match="NAME is not set"):
        read(Example, {"NAME": ""})
