"""Which route answers a method and a path, by API Gateway's rules.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

DEFAULT = "$default"
ANY = "ANY"
_PARAMETER = re.compile(r"{([A-Za-z0-9_]+)(\+?)}")
_BAD_ENCODING = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class BadPathError(Exception):
    """A path that is none: broken percent-encoding, no UTF-8, or a NUL in it."""


@dataclass(frozen=True)
class Route:
    """A method (or ANY) and a path (or $default), and the function that answers there."""

    method: str
    path: str
    function: str
    authorized: bool = False

    @property
    def key(self) -> str:
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Match:
    """A route and what its path's parameters are, decoded."""

    route: Route
    parameters: Mapping[str, str]


def decode(raw_path: bytes) -> tuple[str, ...]:
    """A path's segments, decoded one by one: an encoded slash stays inside its segment.

    Nothing is normalised: `//`, `.` and `..` are segments as any other. Raises BadPathError.
    """
    if not raw_path.startswith(b"/") or _BAD_ENCODING.search(raw_path):
        raise BadPathError
    try:
        segments = tuple(unquote_to_bytes(s).decode("utf-8") for s in raw_path[1:].split(b"/"))
    except UnicodeDecodeError:
        raise BadPathError from None
    if any("\0" in segment for segment in segments):
        raise BadPathError
    return segments


class Router:
    """The routes in the order of API Gateway's priority: a full match, path parameters, greedy
    ones, $default; for one path its own method before ANY."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(
            ((route, _segments(route.path)) for route in routes),
            key=lambda item: (_rank(item[1]), item[0].method == ANY),
        )

    def match(self, method: str, segments: Sequence[str]) -> Match | None:
        """The route for a request, None when there is none."""
        for route, pattern in self._routes:
            if route.path == DEFAULT:
                return Match(route, {})
            if route.method not in (ANY, method):
                continue
            parameters = _parameters(pattern, segments)
            if parameters is not None:
                return Match(route, parameters)
        return None


def mistakes(routes: Iterable[Route]) -> list[str]:
    """What is wrong with a set of routes, each in words: two that no request can tell apart, and
    paths that API Gateway refuses."""
    found = []
    taken: dict[tuple[str, str], Route] = {}
    for route in routes:
        pattern = _segments(route.path)
        for n, segment in enumerate(pattern):
            matched = _PARAMETER.fullmatch(segment)
            if matched is None and ("{" in segment or "}" in segment):
                found.append(
                    f"{route.key} of {route.function}: expected {{name}} to be a whole segment, "
                    f"got {segment!r}"
                )
            if matched is not None and matched[2] and n != len(pattern) - 1:
                found.append(
                    f"{route.key} of {route.function}: expected {segment} at the end of the path"
                )
        shape = (route.method, "/".join(_PARAMETER.sub(r"{\2}", segment) for segment in pattern))
        if shape in taken:
            found.append(
                f"{route.key} is the route of {taken[shape].function} and of {route.function}: "
                "expected one function a route"
            )
        taken[shape] = route
    return found


def _segments(path: str) -> tuple[str, ...]:
    return (DEFAULT,) if path == DEFAULT else tuple(path.removeprefix("/").split("/"))


def _rank(pattern: Sequence[str]) -> tuple[int, ...]:
    """Sorts the more exact pattern first."""
    ranks = []
    for segment in pattern:
        matched = _PARAMETER.fullmatch(segment)
        if segment == DEFAULT:
            ranks.append(3)
        elif matched is None:
            ranks.append(0)
        else:
            ranks.append(2 if matched[2] else 1)
    return tuple(ranks)


def _parameters(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for n, wanted in enumerate(pattern):
        matched = _PARAMETER.fullmatch(wanted)
        if matched is not None and matched[2]:
            rest = "/".join(segments[n:])
            if not rest:
                return None
            found[matched[1]] = rest
            return found
        if n >= len(segments):
            return None
        if matched is None:
            if segments[n] != wanted:
                return None
        elif segments[n]:
            found[matched[1]] = segments[n]
        else:
            return None
    return found if len(pattern) == len(segments) else None
