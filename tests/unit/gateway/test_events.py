"""Events of payload format 2.0."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.gateway.events import Api, Request, authorizer_event, request_event, trace_header
from services.gateway.routes import Match, Route

API = Api("000000000000", "eu-west-1", "darkroom")
MATCH = Match(Route("POST", "/images/{id}", "describe", True), {"id": "7"})
TRACE = "Root=1-67891233-abcdef012345678912345678"


def request(headers: list[tuple[str, str]] | None = None, query: str = "") -> Request:
    return Request(
        id="JKJaXmPLvHcESHA=",
        method="POST",
        path="/images/7",
        query=query,
        headers=tuple(headers or []),
        protocol="HTTP/1.1",
        source_ip="192.0.2.7",
        port=8080,
        received_at=1_583_348_638.39,
    )


def event(
    headers: list[tuple[str, str]] | None = None,
    query: str = "",
    body: bytes = b"",
    context: dict[str, Any] | None = None,
    match: Match = MATCH,
) -> Any:
    return json.loads(request_event(request(headers, query), body, match, API, TRACE, context))


def test_the_whole_event() -> None:
    got = event(
        [
            ("host", "photos.example.com:8080"),
            ("user-agent", "agent"),
            ("cookie", "cookie1=1; cookie2=2"),
            ("cookie", "cookie3=3"),
            ("header2", "value1"),
            ("header2", "value2"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "198.51.100.9"),
            ("x-forwarded-proto", "https"),
        ],
        "parameter1=value1&parameter1=value2&parameter2=a%20b%2Bc+d&empty=",
        b"{}",
        {"user_id": "u1"},
    )
    assert got == {
        "version": "2.0",
        "routeKey": "POST /images/{id}",
        "rawPath": "/images/7",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b%2Bc+d&empty=",
        "cookies": ["cookie1=1", "cookie2=2", "cookie3=3"],
        "headers": {
            "host": "photos.example.com:8080",
            "user-agent": "agent",
            "header2": "value1,value2",
            "content-type": "application/json",
            "content-length": "2",
            "x-amzn-trace-id": TRACE,
            "x-forwarded-for": "198.51.100.9, 192.0.2.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {
            "parameter1": "value1,value2",
            "parameter2": "a b+c d",
            "empty": "",
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "darkroom",
            "authorizer": {"lambda": {"user_id": "u1"}},
            "domainName": "photos.example.com",
            "domainPrefix": "photos",
            "http": {
                "method": "POST",
                "path": "/images/7",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "agent",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /images/{id}",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"id": "7"},
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_what_is_not_there_is_left_out() -> None:
    got = event(match=Match(Route("GET", "/", "x"), {}))
    absent = {"cookies", "queryStringParameters", "pathParameters", "body", "stageVariables"}
    assert absent.isdisjoint(got)
    assert "authorizer" not in got["requestContext"]
    assert got["isBase64Encoded"] is False
    assert got["requestContext"]["domainName"] == "localhost"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json; charset=utf-8", "ü".encode(), True),
        ("Application/XML", b"<a/>", True),
        ("application/javascript", b"1", True),
        ("text/csv", b"a,b", True),
        ("text/plain", b"\xff\xfe", False),
        ("application/octet-stream", b"abc", False),
        ("application/x-www-form-urlencoded", b"a=b", False),
        ("multipart/form-data; boundary=x", b"--x--", False),
        ("image/jpeg", b"\xff\xd8", False),
        ("", b"abc", False),
    ],
)
def test_which_bodies_are_text(content_type: str, body: bytes, text: bool) -> None:
    got = event([("content-type", content_type)] if content_type else [], body=body)
    assert got["isBase64Encoded"] is not text
    assert (got["body"].encode() if text else base64.b64decode(got["body"])) == body


@pytest.mark.parametrize("query", ["%", "a=%zz", "a=%ff", "=", "&&", "a=%00", "a;b=c"])
def test_odd_queries_are_no_reason_to_fail(query: str) -> None:
    assert event(query=query)["rawQueryString"] == query


@pytest.mark.parametrize("host", ["", "a b", "<script>", "-", "[::1]:80", "x" * 300])
def test_a_host_that_is_none(host: str) -> None:
    assert event([("host", host)])["requestContext"]["domainName"] == "localhost"


def test_the_authorizers_event() -> None:
    got = json.loads(
        authorizer_event(
            request([("authorization", "Bearer abc"), ("cookie", "a=b")], "q=1"),
            MATCH,
            API,
            TRACE,
            "Bearer abc",
            3,
        )
    )
    assert got["version"] == "2.0"
    assert got["type"] == "REQUEST"
    assert (
        got["routeArn"]
        == "arn:aws:execute-api:eu-west-1:000000000000:darkroom/$default/POST/images/7"
    )
    assert got["identitySource"] == ["Bearer abc"]
    assert got["routeKey"] == "POST /images/{id}"
    assert got["headers"]["authorization"] == "Bearer abc"
    assert got["pathParameters"] == {"id": "7"}
    assert got["queryStringParameters"] == {"q": "1"}
    assert got["requestContext"]["http"]["method"] == "POST"
    assert {"body", "isBase64Encoded"}.isdisjoint(got)


def test_a_clients_trace_goes_on_and_anything_else_does_not() -> None:
    root = "1-67891233-abcdef012345678912345678"
    sent = request([("x-amzn-trace-id", f"Self=1;Root={root};Sampled=1")])
    assert trace_header(sent) == f"Root={root}"
    made_up = trace_header(request([("x-amzn-trace-id", "Root=evil")]))
    assert made_up.startswith(f"Root=1-{1_583_348_638:08x}-")
    assert len(made_up) == 40
