"""Traces from CloudWatch Logs Insights, of which no emulator has queries: a server on loopback
answers the calls of the real client in the service's protocol."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.monitoring import insights
from services.operations.deployed import VARIABLE
from services.platform.aws import clients
from services.platform.errors import TransientError

PHOTO = "0123456789abcdef0123456789abcdef"
GROUPS = [f"/aws/lambda/function-{n}" for n in range(insights.GROUPS_MAX + 1)]


def message(at: str, event: str, function: str, request: str, **fields: Any) -> tuple[str, str]:
    document = {"event": event, "function": function, "request_id": request, **fields}
    return at, json.dumps({**document, "timestamp": at.replace(" ", "T") + "Z"})


MESSAGES = [
    message("2026-11-27 12:00:00.100", "invocation_completed", "request-upload", "r-1",
            correlation_id=PHOTO, duration_ms=12.5, outcome="success"),
    message("2026-11-27 12:00:02.000", "invocation_completed", "process-image", "r-2",
            correlation_id=PHOTO, image_id="image-0001", duration_ms=900, outcome="success"),
    ("2026-11-27 12:00:02.100", json.dumps({
        "time": "2026-11-27T12:00:02.100Z", "type": "platform.report",
        "record": {"requestId": "r-2", "status": "success",
                   "metrics": {"durationMs": 901, "initDurationMs": 350.5}}})),
    message("2026-11-27 12:00:03.000", "invocation_completed", "process-image", "r-9",
            correlation_id="f" * 32, duration_ms=5, outcome="success"),
]  # fmt: skip


@dataclass
class Insights:
    """The service: queries by id, each complete at the second look."""

    statuses: tuple[str, ...] = ("Running", "Complete")
    queries: list[dict[str, Any]] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)

    def start_query(self, request: dict[str, Any]) -> dict[str, Any]:
        self.queries.append(request)
        return {"queryId": str(len(self.queries) - 1)}

    def get_query_results(self, request: dict[str, Any]) -> dict[str, Any]:
        query_id = request["queryId"]
        look = self.looks.get(query_id, 0)
        self.looks[query_id] = look + 1
        status = self.statuses[min(look, len(self.statuses) - 1)]
        query = self.queries[int(query_id)]
        wanted = re.findall(r'@message like "([^"]+)"', query["queryString"])
        rows = [
            [
                {"field": "@timestamp", "value": at},
                {"field": "@message", "value": text},
                {"field": "@ptr", "value": "pointer"},
            ]
            for at, text in MESSAGES
            # The messages are in the first group.
            if GROUPS[0] in query["logGroupNames"] and any(i in text for i in wanted)
        ]
        return {"status": status, "results": rows if status == "Complete" else []}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Insights]:
    state = Insights()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            operation = self.headers["x-amz-target"].partition(".")[2]
            call = {"StartQuery": state.start_query, "GetQueryResults": state.get_query_results}
            body = json.dumps(call[operation](request)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    clients.client.cache_clear()
    yield state
    clients.client.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    path = tmp_path / "outputs.json"
    functions = {f"function-{n}": {"log_group": name} for n, name in enumerate(GROUPS)}
    values = {"region": "eu-central-1", "api": None, "queues": {}, "functions": functions}
    path.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    return path


def test_trace_of_an_image_finds_its_correlated_lines_by_a_second_query(
    service: Insights, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "image-0001", "--outputs", str(outputs), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["correlation_ids"] == [PHOTO]
    assert [(s["function"], s["init_ms"]) for s in document["spans"]] == [
        ("request-upload", None),
        ("process-image", 350.5),
    ]
    # Two queries, each over at most 50 of the 51 groups.
    assert [len(q["logGroupNames"]) for q in service.queries] == [50, 1, 50, 1]
    assert f'like "{PHOTO}"' in service.queries[2]["queryString"]
    day = 24 * 3600
    assert all(day <= q["endTime"] - q["startTime"] <= day + 2 for q in service.queries)


def test_trace_reads_the_outputs_file_from_the_environment(
    service: Insights,
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, str(outputs))
    assert main(["trace", PHOTO]) == 0
    assert "process-image" in capsys.readouterr().out


def test_unknown_id_is_refused(
    service: Insights, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "nothing-has-this", "--outputs", str(outputs)]) == 2
    assert "not found in the logs" in " ".join(capsys.readouterr().err.split())


def test_text_that_would_change_the_query_is_refused(service: Insights, outputs: Path) -> None:
    assert main(["trace", 'x" or @message like "', "--outputs", str(outputs)]) == 2
    assert service.queries == []


def test_failed_query_is_transient(service: Insights) -> None:
    service.statuses = ("Failed",)
    with pytest.raises(TransientError, match="Failed"):
        insights.lines_about(clients.client("logs"), GROUPS[:1], PHOTO, 0, 1, pause=lambda _: None)
