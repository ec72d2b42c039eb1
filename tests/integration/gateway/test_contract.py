"""A gateway over real functions: what they get, what their answers become, and who may ask."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.support import (
    Running,
    answers_in,
    gateway,
    received,
    write_http_function,
)
from tests.support.waiting import eventually

# Answers as the request's body says.
OBEYS = """
    import json, os, sys, time
    def handler(event, context):
        wish = json.loads(event.get("queryStringParameters", {}).get("do", "{}"))
        if wish.get("exit"): os._exit(3)
        if wish.get("raise"): raise LookupError("internal detail")
        if wish.get("eat"): data = bytearray(b"x") * (wish["eat"] * 1024 * 1024)
        time.sleep(wish.get("sleep", 0))
        if "answer" in wish: return wish["answer"]
        if "big" in wish: return {"statusCode": 200, "body": "x" * wish["big"]}
        return {"statusCode": 200, "headers": {"content-type": "application/json"},
                "body": json.dumps({"event": event, "pid": os.getpid(),
                                    "name": context.function_name,
                                    "given": os.environ.get("GIVEN"),
                                    "trace": os.environ.get("_X_AMZN_TRACE_ID")})}
"""
AUTHORIZES = """
    import os, time
    def handler(event, context):
        token = event["identitySource"][0]
        print("asked " + token)
        if token == "slow": time.sleep(0.5)
        if token == "crash": os._exit(1)
        if token == "nonsense": return {"isAuthorized": "yes"}
        return {"isAuthorized": token != "stranger",
                "context": {"session": "valid", "user_id": token, "route": event["routeKey"],
                            "type": event["type"], "arn": event["routeArn"]}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("contract")

    def function(name: str, handler: str = OBEYS, **options: object) -> dict[str, object]:
        written = write_http_function(folder / name, handler, **options)  # type: ignore[arg-type]
        return {"folder": str(written), "environment": {"GIVEN": name}, "concurrency": 2}

    with gateway(
        folder / "gateway",
        function("obeys", route="ANY /obeys/{name}", timeout_seconds=2, memory_mib=128),
        function("posts", route="POST /obeys/{name}"),
        function("catches", route="GET /files/{path+}"),
        function("preflights", route="OPTIONS /{proxy+}"),
        function("guarded", route="GET /guarded", authorization="session"),
        function("also-guarded", route="GET /also-guarded", authorization="session"),
        function("authorizes", AUTHORIZES),
        GIVEN="from outside",
    ) as running:
        yield running


def wish(**what: object) -> str:
    return "/obeys/x?do=" + json.dumps(what).replace(" ", "").replace('"', "%22")


def test_a_function_gets_the_event_and_its_answer_goes_back(served: Running) -> None:
    answer = served.ask(
        "POST",
        "/obeys/J%C3%BCrg%2F1?a=1&a=2",
        {"Cookie": "a=1; b=2", "X-Two": "1", "Content-Type": "application/json"},
        b'{"n":1}',
    )
    assert answer.status == 200
    got = answer.json()
    event = got["event"]
    assert event["routeKey"] == "POST /obeys/{name}"
    assert event["pathParameters"] == {"name": "Jürg/1"}
    assert event["rawPath"] == "/obeys/Jürg/1"
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["body"] == '{"n":1}'
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert event["requestContext"]["requestId"] == answer.header("apigw-requestid")
    assert "authorizer" not in event["requestContext"]
    assert got["given"] == "posts", "a function's own variables win over inherited ones"
    assert got["name"] == "posts"
    assert got["trace"].startswith(event["headers"]["x-amzn-trace-id"] + ";Parent=")
    lines = [
        e for e in served.events("request") if e["request_id"] == answer.header("apigw-requestid")
    ]
    assert [(e["route"], e["status"], e["function"]) for e in lines] == [
        ("POST /obeys/{name}", 200, "posts")
    ]
    assert lines[0]["invocation_id"] in {e["request_id"] for e in served.events("report")}


def test_binary_goes_both_ways(served: Running) -> None:
    photo = bytes(range(256)) * 4
    got = served.ask("POST", "/obeys/x", {"Content-Type": "image/jpeg"}, photo).json()["event"]
    assert got["isBase64Encoded"] is True
    assert base64.b64decode(got["body"]) == photo
    answer = served.ask(
        "GET",
        wish(
            answer={
                "statusCode": 200,
                "headers": {"content-type": "image/jpeg"},
                "body": "AAH/",
                "isBase64Encoded": True,
            }
        ),
    )
    assert (answer.body, answer.header("content-type")) == (b"\x00\x01\xff", "image/jpeg")


def test_cookies_and_headers_come_out_one_by_one(served: Running) -> None:
    answer = served.ask(
        "GET", wish(answer={"statusCode": 302, "cookies": ["a=1", "b=2"], "headers": {"X": "y"}})
    )
    assert answer.status == 302
    assert [v for k, v in answer.headers if k == "set-cookie"] == ["a=1", "b=2"]
    assert answer.header("x") == "y"


def test_answers_without_a_status_and_without_a_body(served: Running) -> None:
    inferred = served.ask("GET", wish(answer={"hello": "you"}))
    assert (inferred.status, inferred.json()) == (200, {"hello": "you"})
    assert inferred.header("content-type") == "application/json"
    empty = served.ask("GET", wish(answer={"statusCode": 204, "body": "x"}))
    assert (empty.status, empty.body, empty.header("content-length")) == (204, b"", None)
    head = served.ask("HEAD", wish(answer={"statusCode": 200, "body": "12345"}))
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "5")


def test_routes(served: Running) -> None:
    assert served.ask("PUT", "/obeys/x").json()["name"] == "obeys"
    assert served.ask("GET", "/files/a/b").json()["event"]["pathParameters"] == {"path": "a/b"}
    preflight = served.ask("OPTIONS", "/obeys/x/y", {"Origin": "https://a", "X-Y": "z"}).json()
    assert preflight["name"] == "preflights"
    assert preflight["event"]["headers"]["origin"] == "https://a"
    assert served.ask("OPTIONS", "/guarded").json()["name"] == "preflights"
    for method, target in (("POST", "/files/a"), ("GET", "/"), ("GET", "/OBEYS/x")):
        answer = served.ask(method, target, body=b"unread" * 1000)
        assert (answer.status, answer.message) == (404, "Not Found")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (wish(**{"raise": True}), 500),
        (wish(exit=True), 500),
        (wish(eat=400), 500),
        (wish(sleep=30), 500),
        (wish(big=7_000_000), 500),
        (wish(answer={"statusCode": "200"}), 500),
        (wish(answer={"statusCode": 200, "headers": {"a": "b\nc"}}), 500),
    ],
)
def test_what_goes_wrong_costs_that_request_only(served: Running, target: str, status: int) -> None:
    answer = served.ask("GET", target)
    assert (answer.status, answer.message) == (status, "Internal Server Error")
    assert served.ask("GET", "/obeys/x").status == 200
    assert b"internal detail" not in answer.body


def test_no_token_no_question(served: Running) -> None:
    before = len(served.events("request"))
    for headers in ({}, {"Authorization": ""}):
        answer = served.ask("GET", "/guarded", headers)
        assert (answer.status, answer.message) == (401, "Unauthorized")
    eventually(lambda: len(served.events("request")) >= before + 2, "both are logged")
    assert served.events("asked ") == []


def test_what_the_authorizer_found_reaches_the_function(served: Running) -> None:
    answers = [served.ask("GET", "/guarded", {"Authorization": "ann"}) for _ in range(2)]
    other = served.ask("GET", "/also-guarded", {"Authorization": "ann"})
    for answer in [*answers, other]:
        assert answer.json()["event"]["requestContext"]["authorizer"]["lambda"] == {
            "session": "valid",
            "user_id": "ann",
            "route": "GET /guarded",
            "type": "REQUEST",
            "arn": "arn:aws:execute-api:eu-west-1:000000000000:darkroom/$default/GET/guarded",
        }
    assert len(served.events("asked ann")) == 1, "the decision holds for every route"


def test_the_authorizers_no_and_its_failures(served: Running) -> None:
    stranger = served.ask("GET", "/guarded", {"Authorization": "stranger"})
    assert (stranger.status, stranger.message) == (403, "Forbidden")
    for token in ("crash", "nonsense"):
        answer = served.ask("GET", "/guarded", {"Authorization": token})
        assert (answer.status, answer.message) == (500, "Internal Server Error")


def test_many_requests_with_one_token_ask_once(served: Running) -> None:
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(served.ask("GET", "/guarded", {"Authorization": "slow"}).status)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10
    assert len(served.events("asked slow")) == 1


def test_sizes(served: Running) -> None:
    small = served.ask("POST", "/obeys/x", {"Content-Type": "text/plain"}, b"x" * 5_000_000)
    assert small.status == 200, "API Gateway's 10 MB, less than Lambda's 6 MB"
    for size in (7_000_000, 10 * 1024 * 1024 + 1, 20_000_000):
        answer = served.ask("POST", "/obeys/x", {"Content-Type": "text/plain"}, b"x" * size)
        assert (answer.status, answer.message) == (413, "Request Entity Too Large")
    with served.connect() as sock:
        head = b"Host: a\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n"
        sock.sendall(b"POST /obeys/x HTTP/1.1\r\n" + head)
        assert answers_in(received(sock)) == [413], "without a byte of it"
    for size in (11_000, 100_000):
        assert served.ask("GET", "/obeys/x", {"X": "y" * size}).status == 431
    assert served.ask("GET", "/obeys/x", {"X": "y" * 9_000}).status == 200


def test_health_tells_what_there_is(served: Running) -> None:
    served.ask("GET", "/files/a")
    metrics = served.ask("GET", "/_darkroom/metrics")
    assert metrics.status == 200
    assert b"darkroom_healthy 1" in metrics.body
    health = served.health()
    assert health["status"] == "healthy"
    assert {f["name"] for f in health["functions"]} >= {"obeys", "authorizes", "preflights"}
    eventually(
        lambda: served.environments("catches") == {"alive": 1, "busy": 0}, "one, with nothing to do"
    )


def test_the_stages_throttle(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", OBEYS, route="GET /obeys/{name}")
    with gateway(
        tmp_path / "gateway",
        {"folder": str(folder)},
        throttle={"requests_per_second": 0.001, "burst": 2},
    ) as running:
        answers = [running.ask("GET", "/obeys/x") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[-1].message == "Too Many Requests"
        assert running.health()["status"] == "healthy", "health is no request to a route"


def test_the_gateway_does_not_serve_lambdas_invoke_api(served: Running) -> None:
    answer = served.ask("POST", "/2015-03-31/functions/function/invocations", body=b"{}")
    assert answer.status == 404
