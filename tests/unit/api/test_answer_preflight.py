import json

import pytest

from services.api.answer_preflight import parse_rules, preflight_headers
from services.platform.errors import ConfigurationError

PAGE = "https://darkroom.example"
RULES = parse_rules(
    json.dumps(
        [
            {
                "method": "GET",
                "path": "/images/{id}",
                "origins": [PAGE],
                "headers": ["Authorization"],
                "max_age_seconds": 600,
            },
            {
                "method": "POST",
                "path": "/users",
                "origins": [PAGE],
                "headers": [],
                "max_age_seconds": 5,
            },
        ]
    )
)


def preflight(path: str, method: str, origin: str = PAGE) -> dict[str, str]:
    headers = {"origin": origin, "access-control-request-method": method}
    answer = preflight_headers(RULES, path, headers)
    assert "origin" in answer.pop("vary")
    return answer


def test_preflight_of_allowed_page_returns_cors_headers() -> None:
    assert preflight("/images/7", "GET") == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "authorization",
        "access-control-max-age": "600",
    }
    assert "access-control-allow-headers" not in preflight("/users", "POST")


@pytest.mark.parametrize(
    ("path", "method", "origin"),
    [
        ("/images/7", "DELETE", PAGE),
        ("/images/7/more", "GET", PAGE),
        ("/images/", "GET", PAGE),
        ("/users", "GET", PAGE),
        ("/images/7", "GET", "https://evil.example"),
        ("/images/7", "GET", ""),
        ("/images/7", "GET", "null"),
    ],
)
def test_preflight_of_other_page_or_route_returns_no_cors_headers(
    path: str, method: str, origin: str
) -> None:
    assert preflight(path, method, origin) == {}


@pytest.mark.parametrize("text", ["", "{}", "[{}]", "[1]", "null"])
def test_parse_rules_with_invalid_text_raises_configuration_error(text: str) -> None:
    if text == "{}":
        assert parse_rules(text) == ()
        return
    with pytest.raises(ConfigurationError, match="expected a JSON list of rules"):
        parse_rules(text)
