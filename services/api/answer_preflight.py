"""OPTIONS of every route: answers CORS preflights.

API Gateway has one set of CORS rules for a whole HTTP API; the rules here belong to each route. A
preflight has the path and, in a header, the method, so one function answers for all routes.
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
    summary="Answer a CORS preflight",
    access=Access.ANYONE,
    answers={
        204: Answer("The rules, in headers; no CORS headers for a page that may not call the route")
    },
    any_parameters=True,
)
_PARAMETER = re.compile(r"\\{[^}]*\\}")


@dataclass(frozen=True)
class Rule:
    """The CORS rule of one route: who may call it, with which request headers (in lower case)."""

    method: str
    path: re.Pattern[str] = field(repr=False)
    origins: frozenset[str]
    headers: tuple[str, ...]
    max_age_seconds: int


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Parses a JSON list of {method, path, origins, headers, max_age_seconds}.

    Raises ConfigurationError for anything else.
    """
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


def preflight_headers(
    rules: tuple[Rule, ...], path: str, headers: Mapping[str, str]
) -> dict[str, Any]:
    """The response headers of a preflight; only `vary` for a page that may not call the route.

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
class AnswerPreflight:
    """Answers preflights according to the rules."""

    rules: tuple[Rule, ...]

    def handle(self, request: Request) -> Response:
        """Returns 204 with the CORS headers of the route."""
        return Response(204, headers=preflight_headers(self.rules, request.path, request.headers))
