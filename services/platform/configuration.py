"""Reads a frozen dataclass from the environment, once, and reports all mistakes together.

    @dataclass(frozen=True)
    class MailConfiguration:
        sender: str = variable("MAIL_SENDER", help="From address of every e-mail")
        timeout_seconds: float = variable("MAIL_TIMEOUT_SECONDS", default=5.0, minimum=0.1)

    configuration = read(MailConfiguration, os.environ)

A field's annotation decides how its text is parsed: str, int, float, bool, a StrEnum, a Path, or
`tuple[...]` of one of those (comma-separated); `X | None` makes it optional.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from services.platform.errors import ConfigurationError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_KEY = "variable"

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class _Required:
    """Marks a variable without a default."""


@dataclass(frozen=True)
class Variable:
    """How one field is read: the variable's name, its bounds (inclusive) and what it is for."""

    name: str
    default: Any
    minimum: float | None
    maximum: float | None
    help: str


def variable(
    name: str,
    *,
    default: Any = _Required,
    minimum: float | None = None,
    maximum: float | None = None,
    help: str = "",  # noqa: A002  the field's standard word for it
) -> Any:
    """Declares a dataclass field that is read from the environment variable `name`."""
    return field(metadata={_KEY: Variable(name, default, minimum, maximum, help)})


def read(cls: type[T], environ: Mapping[str, str]) -> T:
    """An instance of `cls` with every field read from `environ`.

    Empty text counts as not set. Raises ConfigurationError that lists every mistake at once, each
    with its variable, what was expected and what came.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for item in fields(cls):  # type: ignore[arg-type]
        declared: Variable = item.metadata[_KEY]
        text = environ.get(declared.name, "").strip()
        if text:
            try:
                values[item.name] = _bounded(declared, _parse(hints[item.name], text))
            except ValueError as error:
                mistakes.append(f"{declared.name} must be {error}, got {text!r}")
        elif declared.default is _Required:
            mistakes.append(f"{declared.name} is not set ({declared.help or 'required'})")
        else:
            values[item.name] = declared.default
    if mistakes:
        raise ConfigurationError(cls.__name__, mistakes)
    return cls(**values)


@typing.overload
def read_all(environ: Mapping[str, str], a: type[A], b: type[B], /) -> tuple[A, B]: ...
@typing.overload
def read_all(
    environ: Mapping[str, str], a: type[A], b: type[B], c: type[C], /
) -> tuple[A, B, C]: ...
@typing.overload
def read_all(
    environ: Mapping[str, str], a: type[A], b: type[B], c: type[C], d: type[D], /
) -> tuple[A, B, C, D]: ...
def read_all(environ: Mapping[str, str], *classes: type[Any]) -> tuple[Any, ...]:
    """An instance of each class, as `read` makes them. Raises ConfigurationError that lists the
    mistakes of all of them."""
    made: list[Any] = []
    mistakes: list[str] = []
    for cls in classes:
        try:
            made.append(read(cls, environ))
        except ConfigurationError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError("the function's configuration", mistakes)
    return tuple(made)


def _bounded(declared: Variable, value: Any) -> Any:
    low, high = declared.minimum, declared.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:g}" if low is not None else ""
        if high is not None:
            bounds += f"{' and ' if bounds else ''}at most {high:g}"
        raise ValueError(bounds)
    return value


def _parse(annotation: Any, text: str) -> Any:
    """`text` as `annotation`; ValueError says what was expected."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (a for a in arguments if a is not type(None))
        return _parse(inner, text)
    if origin is tuple:
        return tuple(_parse(arguments[0], part.strip()) for part in text.split(",") if part.strip())
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        try:
            return annotation(text.lower())
        except ValueError:
            raise ValueError("one of " + ", ".join(m.value for m in annotation)) from None
    parser, expected = _PARSERS[annotation]
    try:
        return parser(text)
    except ValueError:
        raise ValueError(expected) from None


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(lowered)
    return lowered in _TRUE


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "a text"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (_boolean, "one of true, false, yes, no, on, off, 1, 0"),
    Path: (Path, "a path"),
}
