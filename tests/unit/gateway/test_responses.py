"""A function's answer as HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.responses import GatewayError, MalformedResponseError, Response, of_function

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain;charset=UTF-8")


def answer(document: Any) -> Response:
    return of_function(json.dumps(document).encode())


def test_the_whole_answer() -> None:
    got = answer(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "image/png", "X-Count": 3, "X-Flag": True, "x-y": " a "},
            "cookies": ["a=1; Path=/", "b=2"],
            "body": "AAEC",
            "isBase64Encoded": True,
        }
    )
    assert got.status == 201
    assert got.headers == [
        (b"content-type", b"image/png"),
        (b"x-count", b"3"),
        (b"x-flag", b"true"),
        (b"x-y", b"a"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"set-cookie", b"b=2"),
    ]
    assert got.body == b"\x00\x01\x02"


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        (b'"Hello"', b"Hello"),
        (b'{"message":"hi"}', b'{"message":"hi"}'),
        (b"[1, 2]", b"[1, 2]"),
        (b"null", b"null"),
        (b'{"headers":{"a":"b"}}', b'{"headers":{"a":"b"}}'),
    ],
)
def test_without_a_status_all_of_it_is_the_body(payload: bytes, body: bytes) -> None:
    assert of_function(payload) == Response(200, [JSON], body)


def test_a_body_without_a_type_is_plain_text() -> None:
    assert answer({"statusCode": 200, "body": "ü"}) == Response(200, [TEXT], "ü".encode())
    assert answer({"statusCode": 200}).body == b""


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body(status: int) -> None:
    assert answer({"statusCode": status, "body": "x"}) == Response(status, [], b"")


def test_headers_that_only_the_server_knows_are_dropped() -> None:
    got = answer(
        {
            "statusCode": 200,
            "headers": {
                "Content-Length": "7",
                "Transfer-Encoding": "chunked",
                "connection": "close",
                "content-type": "a/b",
            },
            "multiValueHeaders": {"x": ["1", "2"]},
        }
    )
    assert got.headers == [(b"content-type", b"a/b")]


@pytest.mark.parametrize(
    "document",
    [
        {"statusCode": "200"},
        {"statusCode": 200.0},
        {"statusCode": True},
        {"statusCode": None},
        {"statusCode": 101},
        {"statusCode": 600},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
        {"statusCode": 200, "body": "AA==", "isBase64Encoded": "true"},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"": "c"}},
        {"statusCode": 200, "headers": {"a": "b\r\nset-cookie: c=d"}},
        {"statusCode": 200, "headers": {"a": "b\u0000"}},
        {"statusCode": 200, "headers": {"a": None}},
        {"statusCode": 200, "headers": {"a": ["b"]}},
        {"statusCode": 200, "cookies": "a=b"},
        {"statusCode": 200, "cookies": [1]},
        {"statusCode": 200, "cookies": ["a=b\nc"]},
    ],
)
def test_malformed_answers(document: Any) -> None:
    with pytest.raises(MalformedResponseError):
        answer(document)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000])
def test_no_json(payload: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        of_function(payload)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


# The first draw of a text reads tables, which takes a while on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {"statusCode": st.just(200)},
        optional={
            "headers": values | st.dictionaries(st.text(), st.text()),
            "cookies": values,
            "body": values,
            "isBase64Encoded": values,
        },
    )
)
def test_any_answer_is_sent_or_refused(document: dict[str, Any]) -> None:
    import h11

    try:
        got = answer(document)
    except MalformedResponseError:
        return
    h11.Response(status_code=got.status, headers=got.headers)


def test_the_gateways_own_answers() -> None:
    assert GatewayError.UNAVAILABLE.answer() == Response(
        503, [JSON], b'{"message":"Service Unavailable"}'
    )
