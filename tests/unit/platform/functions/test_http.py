import base64
import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.platform.errors import PermanentError, TransientError
from services.platform.functions.access import Access
from services.platform.functions.http import (
    Answer,
    HttpProblem,
    Operation,
    Problem,
    Request,
    Response,
    http_function,
    matches_etag,
)

GONE = Problem(410, "gone", "It is gone")


class Greeting(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(max_length=20)]


class Parameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


class Context:
    aws_request_id = "lambda-request"
    function_name = "greet"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def operation(access: Access = Access.ANYONE, **changes: Any) -> Operation:
    return Operation("Greets", access, {200: Answer("A greeting", Greeting)}, **changes)


def event(
    body: str | None = None,
    headers: dict[str, str] | None = None,
    path: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    authorizer: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    about: dict[str, Any] = {"requestId": "api-request", "http": {"sourceIp": "192.0.2.7"}}
    if authorizer is not None:
        about["authorizer"] = {"lambda": authorizer}
    return {
        "version": "2.0",
        "routeKey": "POST /greetings",
        "rawPath": "/greetings",
        "headers": {"content-type": "application/json"} if headers is None else headers,
        "requestContext": about,
        "body": body,
        "isBase64Encoded": False,
        **({"pathParameters": path} if path else {}),
        **({"queryStringParameters": query} if query else {}),
        **more,
    }


def call(
    asked: Operation, sent: dict[str, Any], work: Callable[[Request], Response] | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    answer = http_function(asked, work or (lambda _: Response(200)))(sent, Context())
    return answer["statusCode"], json.loads(answer.get("body") or "{}"), answer["headers"]


def valid_session(**changes: str) -> dict[str, str]:
    return {
        "session": "valid",
        "session_id": "hash",
        "user_id": "anna",
        "email": "anna@darkroom.example",
        "role": "customer",
        "expires_at": str(int(time.time()) + 3600),
        **changes,
    }


def test_body_and_parameters_reach_the_work() -> None:
    def greet(request: Request) -> Response:
        assert request.source_ip == "192.0.2.7"
        assert request.parameters == Parameters(id="7", limit=3)
        return Response(201, Greeting(name=request.body.name.upper()), {"Location": "/g/7"})

    sent = event('{"name": "anna"}', path={"id": "7"}, query={"limit": "3"})
    status, document, headers = call(operation(body=Greeting, parameters=Parameters), sent, greet)
    assert (status, document) == (201, {"name": "ANNA"})
    assert headers["location"] == "/g/7"
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"] == "api-request"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"


def test_answer_opened_as_a_page_runs_nothing_and_json_is_saved() -> None:
    for sent in (event('{"name": "anna"}'), event("{")):
        _, _, headers = call(operation(body=Greeting), sent, lambda r: Response(200, r.body))
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-disposition"] == 'attachment; filename="api.json"'


def test_page_keeps_its_own_headers_and_is_shown_with_its_problems() -> None:
    own = {"content-type": "text/html; charset=utf-8", "content-security-policy": "own"}
    asked = Operation("Shows", Access.ANYONE, {200: Answer("A page", is_page=True)})
    shown = http_function(asked, lambda _: Response(200, b"<p>", own))(event(), Context())
    assert shown["headers"]["content-security-policy"] == "own"
    _, _, refused = call(asked, event(query={"unknown": "1"}))
    assert refused["content-type"] == "application/problem+json"
    for headers in (shown["headers"], refused):
        assert "content-disposition" not in headers


def test_a_body_may_come_in_base64() -> None:
    sent = event(base64.b64encode(b'{"name": "anna"}').decode(), isBase64Encoded=True)
    work: list[Request] = []
    call(operation(body=Greeting), sent, lambda r: work.append(r) or Response(204))  # type: ignore[func-returns-value]
    assert work[0].raw_body == b'{"name": "anna"}'


def test_bytes_are_answered_as_they_are() -> None:
    answer = http_function(operation(), lambda _: Response(200, b"\xff\x00"))(event(), Context())
    assert answer["isBase64Encoded"]
    assert base64.b64decode(answer["body"]) == b"\xff\x00"


@pytest.mark.parametrize(
    ("sent", "status", "slug", "field"),
    [
        (event('{"name": 7}'), 400, "invalid-request", "name"),
        (event('{"name": "x", "age": 7}'), 400, "invalid-request", "age"),
        (event("{"), 400, "invalid-request", ""),
        (event(None), 400, "invalid-request", ""),
        (event('{"name": "x"}', query={"limit": "0"}), 400, "invalid-request", "limit"),
        (event('{"name": "x"}', query={"page": "0"}), 400, "invalid-request", "page"),
        (event('{"name": "x"}', query={"id": "8"}), 400, "invalid-request", "id"),
        (event('{"name": "x"}', headers={}), 415, "unsupported-media-type", None),
        (event(" " * 70_000), 413, "body-too-large", None),
    ],
)
def test_bad_input_is_a_problem_that_names_the_field(
    sent: dict[str, Any], status: int, slug: str, field: str | None
) -> None:
    sent.setdefault("pathParameters", {"id": "7"})
    got, document, headers = call(operation(body=Greeting, parameters=Parameters), sent)
    assert (got, document["type"]) == (status, f"urn:darkroom:problem:{slug}")
    assert document["status"] == status
    assert headers["content-type"] == "application/problem+json"
    assert [e["field"] for e in document.get("errors", [])] == ([] if field is None else [field])


def test_an_operation_without_parameters_refuses_them() -> None:
    status, document, _ = call(operation(), event(query={"debug": "1"}))
    assert status == 400
    assert document["errors"] == [
        {
            "field": "debug",
            "code": "unknown-field",
            "expected": "no fields",
            "got": "an unknown field",
        }
    ]


@pytest.mark.parametrize(
    ("found", "access", "status", "slug"),
    [
        (None, Access.CUSTOMER, 401, "not-signed-in"),
        ({"session": "unknown"}, Access.CUSTOMER, 401, "not-signed-in"),
        ({"session": "expired"}, Access.CUSTOMER, 401, "session-expired"),
        (valid_session(expires_at="1"), Access.CUSTOMER, 401, "session-expired"),
        ({"session": "unavailable"}, Access.CUSTOMER, 503, "unavailable"),
        (valid_session(), Access.ADMINISTRATOR, 403, "not-allowed"),
    ],
)
def test_who_may_not_call_is_refused_before_any_work(
    found: dict[str, str] | None, access: Access, status: int, slug: str
) -> None:
    def work(_: Request) -> Response:
        raise AssertionError("called")

    got, document, headers = call(operation(access), event(authorizer=found), work)
    assert (got, document["type"]) == (status, f"urn:darkroom:problem:{slug}")
    assert ("www-authenticate" in headers) == (status == 401)


def test_who_may_call_is_known_to_the_work() -> None:
    callers: list[str] = []

    def work(request: Request) -> Response:
        callers.append(request.caller.user_id)
        return Response(204)

    for role, access in (
        ("customer", Access.CUSTOMER),
        ("administrator", Access.CUSTOMER),
        ("administrator", Access.ADMINISTRATOR),
    ):
        sent = event(authorizer=valid_session(role=role))
        assert call(operation(access), sent, work)[0] == 204
    assert callers == ["anna"] * 3


def refused(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    def work(_: Request) -> Response:
        raise error

    return call(operation(), event(), work)


def test_a_problem_of_the_work_is_answered_as_it_is() -> None:
    status, document, headers = refused(HttpProblem(GONE, "Since May.", headers={"X-Since": "5"}))
    assert status == 410
    assert document == {
        "type": "urn:darkroom:problem:gone",
        "title": "It is gone",
        "status": 410,
        "detail": "Since May.",
        "instance": "/greetings",
    }
    assert headers["x-since"] == "5"


@pytest.mark.parametrize(
    "error",
    [
        TransientError("the database is away"),
        EndpointConnectionError(endpoint_url="http://x"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "GetItem"),
        ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "GetItem"),
    ],
)
def test_an_outage_asks_to_come_again(error: Exception) -> None:
    status, _, headers = refused(error)
    assert (status, int(headers["retry-after"]) > 0) == (503, True)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("postgresql://secret"),
        PermanentError("secret"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "secret"}}, "GetItem"),
    ],
)
def test_a_bug_is_a_500_that_gives_nothing_away(error: Exception) -> None:
    status, document, _ = refused(error)
    assert status == 500
    assert "secret" not in json.dumps(document)


def test_pages_of_a_named_site_may_read_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "https://darkroom.example"
    assert (
        "access-control-allow-origin" not in call(operation(), event(headers={"origin": page}))[2]
    )
    monkeypatch.setenv("CORS_ORIGINS", f"{page},http://localhost:3000")
    monkeypatch.setenv("CORS_EXPOSE_HEADERS", "etag")
    _, _, headers = call(operation(), event(headers={"origin": page}))
    assert headers["access-control-allow-origin"] == page
    assert headers["access-control-expose-headers"] == "etag"
    assert headers["vary"] == "origin"
    _, _, headers = call(operation(), event(headers={"origin": "https://evil.example"}))
    assert "access-control-allow-origin" not in headers
    assert headers["vary"] == "origin"


def test_a_warmer_is_answered_without_work() -> None:
    handler = http_function(operation(), lambda _: Response(500))
    assert handler({"warmer": True}, Context()) == {"warm": True}


@pytest.mark.parametrize(
    ("sent", "matches"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("", False),
    ],
)
def test_etags_are_compared_weakly(sent: str, matches: bool) -> None:
    got: list[bool] = []

    def work(request: Request) -> Response:
        got.append(matches_etag(request, 'W/"a"'))
        return Response(204)

    call(operation(), event(headers={"if-none-match": sent}), work)
    assert got == [matches]
