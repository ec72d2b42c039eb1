"""Decodes a client's input into a `msgspec.Struct`. Every error names the field, the expected value
and the actual one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

# Names and values of the input are repeated up to this length.
_SHOWN_CHARACTERS = 80
# A body of 64 KiB may hold thousands of invalid fields: the response names this many.
MAX_ERRORS = 20
# The beginnings of msgspec's messages that name a field of an inner object.
_UNKNOWN = "Object contains unknown field `"
_MISSING = "Object missing required field `"
# What msgspec says of a text that is not in an enum, or does not match a pattern.
_NOT_IN_ENUM = "Invalid enum value "
_PATTERN = " matching regex "
_QUOTED = re.compile(r"`([^`]*)`")
# A step of a path such as `.lines[2].name`.
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_BOUNDS = (
    (re.compile(r"^text of length >= (\d+)"), r"text of at least \1 characters"),
    (re.compile(r"^text of length <= (\d+)"), r"text of at most \1 characters"),
    (re.compile(r"^a list of length >= (\d+)"), r"a list of at least \1 items"),
    (re.compile(r"^a list of length <= (\d+)"), r"a list of at most \1 items"),
    (re.compile(r" >= "), " of at least "),
    (re.compile(r" <= "), " of at most "),
)
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "int | null": "a whole number or null",
    "str | null": "text or null",
}
# Values of such a field are never repeated in errors: see `is_secret`.
SECRET_SCHEMA = {"format": "password", "writeOnly": True}
# The end of a pattern: Python's $ alone accepts a trailing line break.
END = r"$(?!\n)"
Model = TypeVar("Model", bound=msgspec.Struct)


class FieldCode(StrEnum):
    """What is wrong with a field, for programs. INVALID: another value is expected."""

    INVALID = "invalid"
    MISSING = "missing"
    UNKNOWN_FIELD = "unknown-field"
    TOO_MANY_ERRORS = "too-many-errors"
    NOT_ON_SALE = "not-on-sale"
    SEVERAL_CURRENCIES = "several-currencies"
    TOTAL_TOO_HIGH = "total-too-high"


@dataclass(frozen=True)
class FieldError:
    """One invalid field, by its dotted path ("" for the whole input)."""

    field: str
    expected: str
    got: str
    code: FieldCode = FieldCode.INVALID


class InvalidInputError(Exception):
    """The input is invalid; `errors` names the fields, up to MAX_ERRORS of them."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(
            "; ".join(f"{e.field}: expected {e.expected}, got {e.got}" for e in errors)
        )


def decode_json(body: bytes, model: type[Model]) -> Model:
    """The JSON object in `body`. Raises InvalidInputError."""
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(
            [FieldError("", "a JSON object", f"invalid JSON: {error}")]
        ) from None
    if not isinstance(values, dict):
        raise InvalidInputError([FieldError("", "a JSON object", shown(values))])
    return convert(values, model)


def convert(values: Mapping[str, Any], model: type[Model], *, texts: bool = False) -> Model:
    """`values` as a `model`; with `texts`, numbers and booleans are parsed from texts, as in a URL.

    Raises InvalidInputError.
    """
    errors = []
    known = {field.encode_name: field for field in msgspec.structs.fields(model)}
    for name in values:
        if name not in known:
            expected = "one of " + ", ".join(known) if known else "no fields"
            errors.append(
                FieldError(_shortened(name), expected, "an unknown field", FieldCode.UNKNOWN_FIELD)
            )
    for name, field in known.items():
        if name not in values:
            if field.required:
                errors.append(
                    FieldError(name, _in_words(field.type, ""), "nothing", FieldCode.MISSING)
                )
            continue
        value = values[name]
        try:
            msgspec.convert(value, field.type, strict=not texts)
        except msgspec.ValidationError as error:
            errors.append(_mistake(name, field.type, value, str(error)))
        else:
            if _has_null(value):
                errors.append(FieldError(name, "text without U+0000", "text with U+0000"))
    if errors:
        raise InvalidInputError(_bounded(errors))
    return msgspec.convert(dict(values), model, strict=not texts)


def _bounded(errors: list[FieldError]) -> list[FieldError]:
    if len(errors) <= MAX_ERRORS:
        return errors
    more = len(errors) - MAX_ERRORS
    return [
        *errors[:MAX_ERRORS],
        FieldError(
            "",
            "only fields that the operation has",
            f"{more} more invalid fields",
            FieldCode.TOO_MANY_ERRORS,
        ),
    ]


def is_secret(annotation: Any) -> bool:
    """Whether a field's type is marked with SECRET_SCHEMA."""
    return any(
        isinstance(item, msgspec.Meta) and (item.extra_json_schema or {}).get("writeOnly")
        for item in getattr(annotation, "__metadata__", ())
    )


def shown(value: Any) -> str:
    """A value of the input, short enough to be repeated in an error."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = msgspec.json.encode(value).decode("utf-8", "replace")
    return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _mistake(name: str, annotation: Any, value: Any, message: str) -> FieldError:
    """msgspec's message ("Expected `int` >= 1, got `str` - at `$[0].count`") in our words."""
    said, _, where = message.partition(" - at `$")
    path = where.rstrip("`")
    if said.startswith(_UNKNOWN):
        return FieldError(
            _shortened(f"{name}{path}.{said[len(_UNKNOWN) : -1]}"),
            "no such field",
            "an unknown field",
            FieldCode.UNKNOWN_FIELD,
        )
    if said.startswith(_MISSING):
        missing = f"{path}.{said[len(_MISSING) : -1]}"
        return FieldError(
            _shortened(name + missing),
            _in_words(annotation, missing),
            "nothing",
            FieldCode.MISSING,
        )
    if said.startswith(_NOT_IN_ENUM) or _PATTERN in said:
        expected = _in_words(annotation, path)
    else:
        expected = said.removeprefix("Expected ").split(", got ")[0]
        expected = _QUOTED.sub(lambda quoted: _WORDS.get(quoted[1], quoted[1]), expected)
        for bound, words in _BOUNDS:
            expected = bound.sub(words, expected)
    got = "a hidden value" if is_secret(annotation) else shown(_inside(value, path))
    return FieldError(_shortened(name + path), expected, got)


def _in_words(annotation: Any, path: str) -> str:
    """The values that the type at `path` allows, or its description."""
    # Only invalid input needs it: a cold start does not import it.
    from msgspec import inspect

    node, description = _unwrapped(inspect.type_info(annotation))
    for key, index in _STEP.findall(path):
        if key and isinstance(node, inspect.StructType):
            inner = next(field.type for field in node.fields if field.encode_name == key)
        elif index and isinstance(node, inspect.ListType):
            inner = node.item_type
        else:
            return "a value"
        node, description = _unwrapped(inner)
    if isinstance(node, inspect.LiteralType):
        return "one of " + ", ".join(map(str, node.values))
    return description


def _unwrapped(node: Any) -> tuple[Any, str]:
    """A type of msgspec.inspect without its metadata and `| None`, and its description."""
    from msgspec import inspect

    description = "a value"
    while True:
        if isinstance(node, inspect.Metadata):
            description = (node.extra_json_schema or {}).get("description", description)
            node = node.type
        elif isinstance(node, inspect.UnionType):
            node = next(kind for kind in node.types if not isinstance(kind, inspect.NoneType))
        else:
            return node, description


def _inside(value: Any, path: str) -> Any:
    """The part of `value` at a path such as `.lines[2].name`."""
    for key, index in _STEP.findall(path):
        try:
            value = value[key] if key else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _has_null(value: Any) -> bool:
    """Whether a text in `value` holds U+0000, which Postgres and file names cannot."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_null(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(map(_has_null, value))
