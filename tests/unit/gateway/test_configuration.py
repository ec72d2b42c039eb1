"""The http source's configuration: all mistakes together, before anything listens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.gateway.__main__ import main as serve
from services.gateway.configuration import Events, Plan, gateway, single
from services.platform.errors import ConfigurationError
from services.runtime.exit_codes import ExitCode
from services.worker.__main__ import main as worker

REGION = {"AWS_REGION": "eu-west-1"}


def function(folder: Path, trigger: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text("def handler(event, context): pass\n")
    (folder / "function.yaml").write_text(
        "description: For a test.\nfeature: photos\nmemory_mib: 128\ntimeout_seconds: 3\n"
        f"budgets: {{image_mib_over_base: 1, init_kib: 1, init_ms: 1}}\ntrigger: {{{trigger}}}\n"
    )
    return folder


def http(route: str, authorization: str = "none") -> str:
    return f'http: {{route: "{route}", authorization: {authorization}, maximum_concurrency: 2}}'


AUTHORIZER = "authorizer: {cache_seconds: 7, maximum_concurrency: 2}"


def plan(folder: Path, *entries: Any, environ: dict[str, str] | None = None, **rest: Any) -> Plan:
    file = folder / "gateway.json"
    file.write_text(json.dumps({"functions": list(entries), **rest}))
    return gateway(file, REGION if environ is None else environ)


def test_a_plan_for_a_whole_lab(tmp_path: Path) -> None:
    images = function(tmp_path / "list-images", http("GET /images", "session"))
    decides = function(tmp_path / "authorize-request", AUTHORIZER)
    got = plan(
        tmp_path,
        {"folder": str(images), "environment": {"A": "b"}, "concurrency": 3},
        {"folder": str(decides), "environment": {"AWS_REGION": "us-east-1"}},
        port=0,
        throttle={"requests_per_second": 0.5, "burst": 2},
        idle_seconds=9,
    )
    first, second = got.functions
    assert (first.function.name, first.concurrency) == ("list-images", 3)
    assert first.function.variables == {"A": "b", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert first.function.arn == "arn:aws:lambda:eu-west-1:000000000000:function:list-images"
    assert second.concurrency == 4
    assert [route.key for route in got.routes if route.authorized] == ["GET /images"]
    assert got.authorizer is not None
    assert (got.authorizer.function, got.authorizer.cache_seconds) == ("authorize-request", 7)
    assert got.throttle is not None
    assert (got.throttle.requests_per_second, got.throttle.burst) == (0.5, 2)
    assert (got.host, got.port, got.idle_seconds) == ("127.0.0.1", 0, 9)
    assert got.invoked is None
    assert got.process.drain_seconds == 25


def test_all_mistakes_of_a_lab_are_told_at_once(tmp_path: Path) -> None:
    one = function(tmp_path / "one", http("GET /x", "session"))
    two = function(tmp_path / "two", http("GET /x"))
    neither = function(tmp_path / "neither", "")
    with pytest.raises(ConfigurationError) as caught:
        plan(
            tmp_path,
            {"folder": str(one), "concurrency": 0},
            {"folder": str(two), "environment": {"A": 1}, "colour": "red"},
            {"folder": str(two)},
            {"folder": str(neither)},
            {"folder": str(tmp_path / "missing")},
            "two",
            environ={"WORKER_DRAIN_SECONDS": "soon"},
            port=70_000,
            idle_seconds=0,
            throttle={"requests_per_second": 0, "burst": 1},
            extra=1,
        )
    text = "\n".join(caught.value.mistakes)
    for expected in (
        "WORKER_DRAIN_SECONDS must be a whole number",
        "port must be a whole number 0..65535, got 70000",
        "idle_seconds must be",
        "throttle.requests_per_second must be more than 0, got 0",
        "extra is not a known field",
        "functions[0].concurrency must be a whole number 1..256, got 0",
        "functions[1].environment must be an object of texts",
        "functions[1].colour is not a known field",
        "functions[2] repeats two: expected each function once",
        "functions[3] (neither) has neither an http nor an authorizer trigger",
        "missing must hold a handler.py",
        "expected a function manifest, found none",
        "functions[5] must be an object with a folder",
        "AWS_REGION is not set for functions[0]",
        "GET /x is the route of one and of two",
        "expected a function with trigger.authorizer, for GET /x",
    ):
        assert expected in text


def test_two_authorizers_are_one_too_many(tmp_path: Path) -> None:
    folders = [function(tmp_path / name, AUTHORIZER) for name in ("one", "two")]
    with pytest.raises(ConfigurationError, match="expected one authorizer, got one, two"):
        plan(tmp_path, *({"folder": str(folder)} for folder in folders))


def test_event_stream_is_a_route_with_authorization(tmp_path: Path) -> None:
    authorizer = function(tmp_path / "a", AUTHORIZER)
    url = "http://127.0.0.1:4566/000000000000/gateway-events"
    got = plan(tmp_path, {"folder": str(authorizer)}, events={"queue_url": url})
    assert got.events == Events(url, 15)
    assert [(route.key, route.authorized) for route in got.routes] == [("GET /events", True)]


@pytest.mark.parametrize(
    ("events", "mistake"),
    [
        ("http://queue", "events must be an object with queue_url"),
        ({"queue_url": "queue"}, "events must be an object with queue_url"),
        ({"queue_url": "http://queue/q", "heartbeat_seconds": 0}, "events.heartbeat_seconds"),
        ({"queue_url": "http://queue/q", "heartbeat": 1}, "heartbeat"),
        ({"queue_url": "http://queue/q"}, "trigger.authorizer, for GET /events"),
    ],
)
def test_wrong_event_stream_is_refused(tmp_path: Path, events: Any, mistake: str) -> None:
    open_route = function(tmp_path / "f", http("GET /a"))
    with pytest.raises(ConfigurationError) as caught:
        plan(tmp_path, {"folder": str(open_route)}, events=events)
    assert any(mistake in one for one in caught.value.mistakes), caught.value.mistakes


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"functions": []}', "[" * 100_000])
def test_files_that_configure_nothing(
    tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.json"
    file.write_text(text)
    assert serve([str(file)], REGION) == ExitCode.CONFIGURATION
    assert serve([str(tmp_path / "none.json")], REGION) == ExitCode.CONFIGURATION
    assert "mistakes" in capfd.readouterr().out


def test_a_single_function(tmp_path: Path) -> None:
    folder = function(tmp_path / "task", http("GET /images", "session"))
    got = single(
        folder,
        {
            **REGION,
            "WORKER_FUNCTION_NAME": "list-images",
            "WORKER_CONCURRENCY": "3",
            "WORKER_HTTP_PORT": "0",
            "WORKER_AUTHORIZER_URL": "http://authorizer:8080/",
            "WORKER_AUTHORIZER_CACHE_SECONDS": "5",
        },
    )
    assert (got.host, got.port, got.prewarmed) == ("0.0.0.0", 0, True)
    assert got.functions[0].function.name == got.routes[0].function == "list-images"
    assert got.functions[0].concurrency == 3
    assert got.authorizer is not None
    assert (got.authorizer.url, got.authorizer.cache_seconds) == ("http://authorizer:8080/", 5)
    assert got.invoked is None, "an event from anybody would pass by the authorizer"


def test_an_authorizer_is_there_to_be_invoked(tmp_path: Path) -> None:
    got = single(function(tmp_path / "authorize-request", AUTHORIZER), REGION)
    assert got.invoked == "authorize-request"
    assert got.port == 8080


def test_the_invoke_api_can_be_had(tmp_path: Path) -> None:
    folder = function(tmp_path / "ping", http("GET /ping"))
    assert single(folder, REGION).invoked is None
    assert single(folder, {**REGION, "WORKER_HTTP_INVOKE": "yes"}).invoked == "ping"


def test_all_mistakes_of_a_single_function_are_told_at_once(tmp_path: Path) -> None:
    folder = function(tmp_path / "task", http("GET /images", "session"))
    (folder / "handler.py").unlink()
    with pytest.raises(ConfigurationError) as caught:
        single(folder, {"WORKER_HTTP_PORT": "-1", "WORKER_CONCURRENCY": "many"})
    text = str(caught.value)
    for expected in (
        "WORKER_HTTP_PORT must be at least 0",
        "WORKER_CONCURRENCY must be a whole number",
        "must hold a handler.py",
        "AWS_REGION is not set",
        "WORKER_AUTHORIZER_URL is not set (the route requires a session)",
    ):
        assert expected in text
    with pytest.raises(ConfigurationError, match="WORKER_AUTHORIZER_URL must be an http"):
        single(folder, {**REGION, "WORKER_AUTHORIZER_URL": "authorizer:8080"})


def test_the_manifest_decides_which_source_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    routed = function(tmp_path / "routed", http("GET /x"))
    queued = function(
        tmp_path / "queued",
        "queue: {batch_size: 1, batch_window_seconds: 0, maximum_concurrency: 2, "
        "max_receive_count: 4, sources: []}",
    )
    assert worker(["--function", str(routed)], {}) == ExitCode.CONFIGURATION
    said = capfd.readouterr().out
    assert "AWS_REGION" in said
    assert "WORKER_QUEUE_URL" not in said
    assert worker(["--function", str(queued)], {}) == ExitCode.CONFIGURATION
    assert "WORKER_QUEUE_URL" in capfd.readouterr().out
