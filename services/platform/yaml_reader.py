"""Parses YAML, takes values out of a document, and gathers every mistake in it."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum
from typing import Any, TypeVar

Choice = TypeVar("Choice", bound=StrEnum)


def parse_yaml(text: str) -> Any:
    """The document in `text`. Raises yaml.YAMLError.

    PyYAML's wheels contain libyaml: all manifests of the lab take 35 ms of CPU, 230 ms without it.
    """
    import yaml  # only here: PyYAML has no place in a handler's cold start

    # Both loaders construct plain values only.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


class YamlReader:
    """Takes values out of the parsed YAML by dotted path, and gathers what is wrong."""

    def __init__(self, document: Any, fields: Set[str]) -> None:
        self.mistakes: list[str] = []
        self._fields = fields
        self._document: dict[str, Any] = document if isinstance(document, dict) else {}
        if not isinstance(document, dict):
            self.mistakes.append(f"expected a mapping, got {type(document).__name__}")

    def refuse_unknown(self) -> None:
        for key in sorted(map(str, self._document.keys() - self._fields)):
            self.mistakes.append(f"{key} is not a known field")

    def integer(self, path: str, allowed: tuple[int, int]) -> int:
        value = self.at(path)
        low, high = allowed
        if type(value) is not int or not low <= value <= high:
            self.mistakes.append(f"{path} must be a whole number {low}..{high}, got {value!r}")
            return low
        return value

    def text(self, path: str) -> str:
        value = self.at(path)
        if not isinstance(value, str) or not value.strip():
            self.mistakes.append(f"{path} must be a text, got {value!r}")
            return ""
        return value

    def choice(self, path: str, choices: type[Choice]) -> Choice:
        value = self.at(path)
        try:
            return choices(str(value))
        except ValueError:
            expected = ", ".join(choice.value for choice in choices)
            self.mistakes.append(f"{path} must be one of {expected}, got {value!r}")
            return next(iter(choices))

    def boolean(self, path: str) -> bool:
        """True or false; false where it is missing."""
        value = self.at(path)
        if value is not None and type(value) is not bool:
            self.mistakes.append(f"{path} must be true or false, got {value!r}")
        return value is True

    def mapping(self, path: str) -> dict[str, Any]:
        value = self.at(path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.mistakes.append(f"{path} must be a mapping, got {value!r}")
            return {}
        return value

    def sequence(self, path: str) -> list[Any]:
        value = self.at(path)
        if value is None:
            return []
        if not isinstance(value, list):
            self.mistakes.append(f"{path} must be a list, got {value!r}")
            return []
        return value

    def texts(self, item: Any, key: str, *, required: bool = True) -> tuple[str, ...]:
        value = item.get(key) if isinstance(item, dict) else None
        if value is None and not required:
            return ()
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            self.mistakes.append(f"{key} of {item!r} must be a list of texts")
            return ()
        return tuple(value)

    def at(self, path: str) -> Any:
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value
