"""API Gateway's route priority, and paths that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.routes import BadPathError, Route, Router, decode, mistakes


def router(*keys: str) -> Router:
    return Router(route(key) for key in keys)


def route(key: str) -> Route:
    method, _, path = key.partition(" ")
    return Route("ANY", key, key) if key == "$default" else Route(method, path, key)


# The example of AWS's guide, and what it says of each request.
AWS_EXAMPLE = (
    "GET /pets/dog/1",
    "GET /pets/dog/{id}",
    "GET /pets/{proxy+}",
    "ANY /{proxy+}",
    "$default",
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/", "$default", {}),
    ],
)
def test_the_most_specific_route_wins(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    for keys in (AWS_EXAMPLE, AWS_EXAMPLE[::-1]):
        match = router(*keys).match(method, decode(path.encode()))
        assert match is not None
        assert (match.route.key, match.parameters) == (key, parameters)


def test_a_method_of_its_own_comes_before_any() -> None:
    both = router("ANY /images/{id}", "GET /images/{id}")
    assert both.match("GET", ("images", "1")).route.key == "GET /images/{id}"  # type: ignore[union-attr]
    assert both.match("DELETE", ("images", "1")).route.key == "ANY /images/{id}"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "method", "path"),
    [
        ("GET /images", "POST", "/images"),
        ("GET /images", "HEAD", "/images"),
        ("GET /images", "GET", "/images/"),
        ("GET /images", "GET", "//images"),
        ("GET /images/{id}", "GET", "/images"),
        ("GET /images/{id}", "GET", "/images/"),
        ("GET /images/{id}", "GET", "/images/1/2"),
        ("GET /images/{id}", "GET", "/other/1"),
        ("OPTIONS /{proxy+}", "OPTIONS", "/"),
        ("GET /images/x", "GET", "/images/../images/x"),
    ],
)
def test_no_route(key: str, method: str, path: str) -> None:
    assert router(key).match(method, decode(path.encode())) is None


def test_parameters_are_decoded_and_an_encoded_slash_stays_inside() -> None:
    match = router("GET /images/{id}/print").match(
        "GET", decode(b"/images/%C3%BC%2Fx+y%20%25/print")
    )
    assert match is not None
    assert match.parameters == {"id": "ü/x+y %"}


@pytest.mark.parametrize(
    "path", [b"/%", b"/%4", b"/%zz", b"/%ff", b"/a%00", b"", b"*", b"images", b"/%C3%28"]
)
def test_paths_that_are_none(path: bytes) -> None:
    with pytest.raises(BadPathError):
        decode(path)


@given(st.binary())
def test_any_bytes_are_a_path_or_are_refused(path: bytes) -> None:
    try:
        segments = decode(path)
    except BadPathError:
        return
    assert all("\0" not in segment for segment in segments)
    "/".join(segments).encode()


def test_routes_that_no_request_can_tell_apart_are_a_mistake() -> None:
    found = mistakes(
        [
            Route("GET", "/images/{id}", "one"),
            Route("GET", "/images/{name}", "two"),
            Route("POST", "/images/{id}", "three"),
            Route("GET", "/{all+}/x", "four"),
            Route("GET", "/a{b}", "five"),
            Route("GET", "/images/{rest+}", "six"),
        ]
    )
    assert len(found) == 3
    assert "GET /images/{name} is the route of one and of two" in found[0]
    assert "{all+} at the end" in found[1]
    assert "whole segment" in found[2]
