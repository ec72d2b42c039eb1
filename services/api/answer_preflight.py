"""Answers browsers that ask beforehand whether a page may call a route (CORS preflights).

One function answers for all routes, since a preflight knows the path and, in a header, the method:
an HTTP API has CORS rules only for the whole of it, and ours are a route's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.platform.errors import ConfigurationError
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Request, Response

ANSWER_PREFLIGHT = Operation(
    summary="Tell a browser whether a page may call a route",
    access=Access.ANYONE,
    answers={204: Answer("The rules, in headers; none where the page may not call")},
    any_parameters=True,
)
_PARAMETER = re.compile(r"\\{[^}]*\\}")


@dataclass(frozen=True)
class Rule:
    """Which origins may call a route, with which request headers."""

    method: str
    path: re.Pattern[str] = field(repr=False)
    origins: frozenset[str]
    headers: tuple[str, ...]
    max_age_seconds: int


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules in a JSON list of {method, path, origins, headers, max_age_seconds}. Raises
    ConfigurationError."""
    try:
        return tuple(
            Rule(
                method=item["method"],
                path=re.compile(_PARAMETER.sub("[^/]+", re.escape(item["path"]))),
                origins=frozenset(item["origins"]),
                headers=tuple(name.lower() for name in item["headers"]),
                max_age_seconds=int(item["max_age_seconds"]),
            )
            for item in json.loads(text)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            "CORS_RULES", [f"expected a JSON list of rules, got {text[:80]!r} ({error!r})"]
        ) from None


def allowed(rules: tuple[Rule, ...], path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The headers of the answer to a preflight; only `vary` where the page may not call.

    https://fetch.spec.whatwg.org/#cors-preflight-fetch
    """
    vary = {"vary": "origin, access-control-request-method, access-control-request-headers"}
    origin = headers.get("origin", "")
    method = headers.get("access-control-request-method", "")
    for rule in rules:
        if rule.method == method and origin in rule.origins and rule.path.fullmatch(path):
            optional = (
                {"access-control-allow-headers": ", ".join(rule.headers)} if rule.headers else {}
            )
            return {
                "access-control-allow-origin": origin,
                "access-control-allow-methods": rule.method,
                "access-control-max-age": str(rule.max_age_seconds),
                **optional,
                **vary,
            }
    return vary


@dataclass(frozen=True)
class Preflights:
    """Answers preflights by the rules."""

    rules: tuple[Rule, ...]

    def handle(self, request: Request) -> Response:
        """Answers OPTIONS of any path."""
        return Response(204, headers=allowed(self.rules, request.path, request.headers))
