"""Spans as they are exported, from the wrappers of functions to OTLP's JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from services.platform import log, otlp, tracing
from services.platform.functions.sqs import Message, queue_function
from services.platform.otlp import Recorder, headers_of, trace_id
from services.platform.tracing import Kind
from tests.unit.platform.functions.test_sqs import Context, record

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = f"00-{TRACE}-{SPAN}-01"
Spans = dict[str, dict[str, Any]]


class Exports:
    """What reached the collector: the spans of every export, by name."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> Spans:
        found: Spans = {}
        for body in self.bodies:
            (of_resource,) = json.loads(body)["resourceSpans"]
            (scope,) = of_resource["scopeSpans"]
            found |= {span["name"]: span for span in scope["spans"]}
        return found


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exports]:
    """Tracing is on; exports are held."""
    held = Exports()
    recorder = Recorder("http://collector.example", {}, "example")
    monkeypatch.setattr(recorder, "_post", held.bodies.append)
    monkeypatch.setattr(tracing, "_recorder", lambda: recorder)
    yield held
    log.clear()


def sent(identifier: str, **attributes: str) -> dict[str, Any]:
    return record(identifier) | {
        "messageAttributes": {
            name: {"dataType": "String", "stringValue": value} for name, value in attributes.items()
        }
    }


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def test_span_of_a_single_message_is_a_child_of_the_senders(exports: Exports) -> None:
    def work(_message: Message) -> None:
        with tracing.span("fetch"), tracing.span("call", Kind.CLIENT):
            pass

    queue_function(work)({"Records": [sent("a", traceparent=CONTEXT)]}, Context())
    spans = exports.spans
    assert len(exports.bodies) == 1
    assert {span["traceId"] for span in spans.values()} == {TRACE}
    assert spans["example"]["parentSpanId"] == SPAN
    assert spans["fetch"]["parentSpanId"] == spans["example"]["spanId"]
    assert spans["call"]["parentSpanId"] == spans["fetch"]["spanId"]
    assert [spans[n]["kind"] for n in ("example", "fetch", "call")] == [5, 1, 3]
    assert int(spans["example"]["startTimeUnixNano"]) <= int(spans["call"]["startTimeUnixNano"])
    assert attributes_of(spans["example"])["faas.invocation_id"] == "request-1"


def test_batch_is_linked_to_its_messages(exports: Exports) -> None:
    def work(message: Message) -> None:
        with tracing.span(f"work on {message.id}"):
            pass

    other = CONTEXT.replace(TRACE, TRACE[::-1])
    records = [sent("a", traceparent=CONTEXT), sent("b", traceparent=other)]
    queue_function(work)({"Records": records}, Context())
    spans = exports.spans
    assert "parentSpanId" not in spans["example"]
    assert spans["example"]["links"] == [
        {"traceId": TRACE, "spanId": SPAN},
        {"traceId": TRACE[::-1], "spanId": SPAN},
    ]
    assert spans["work on a"]["traceId"] == TRACE
    assert spans["work on b"]["traceId"] == TRACE[::-1]
    assert spans["example message"]["links"] == [
        {"traceId": spans["example"]["traceId"], "spanId": spans["example"]["spanId"]}
    ]


def test_trace_of_an_order_goes_on_with_its_correlation_id(exports: Exports) -> None:
    """Step Functions passes on the id, and no W3C context."""
    with tracing.invocation("create-order", Kind.SERVER, [CONTEXT]):
        log.correlate("order-81f3", origin=True)
        with tracing.span("insert"):
            pass
    with tracing.invocation("validate-order", Kind.CONSUMER):
        log.correlate("order-81f3")
    spans = exports.spans
    wanted = trace_id("order-81f3")
    assert {span["traceId"] for span in spans.values()} == {wanted}
    assert "parentSpanId" not in spans["create-order"]
    assert spans["create-order"]["links"] == [{"traceId": TRACE, "spanId": SPAN}]
    assert spans["insert"]["parentSpanId"] == spans["create-order"]["spanId"]
    assert spans["validate-order"]["parentSpanId"] == spans["create-order"]["spanId"]


class _Body:
    """The raw response of urllib3, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def test_calls_of_aws_are_spans_and_messages_carry_the_context(exports: Exports) -> None:
    import boto3
    from botocore.awsrequest import AWSResponse
    from botocore.config import Config

    client = boto3.client(
        "sns",
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )
    tracing.trace_client(client)
    requests: list[str] = []

    def refuse(request: Any, **_: Any) -> AWSResponse:
        requests.append(request.body)
        content = b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
        return AWSResponse(request.url, 429, {}, _Body(content))

    client.meta.events.register("before-send", refuse)
    with (
        tracing.invocation("announce", Kind.INTERNAL),
        pytest.raises(client.exceptions.ClientError),
    ):
        client.publish(TopicArn="arn:aws:sns:eu-west-1:123456789012:t", Message="x")
    span = exports.spans["SNS.Publish"]
    root = exports.spans["announce"]
    assert f"00-{root['traceId']}-{root['spanId']}-01" in requests[0]
    assert span["parentSpanId"] == root["spanId"]
    assert span["status"] == {"code": 2, "message": "Throttling"}
    assert attributes_of(span)["rpc.method"] == "Publish"
    assert attributes_of(span)["http.response.status_code"] == "429"


def test_failed_span_has_the_type_of_the_error(exports: Exports) -> None:
    with (
        pytest.raises(KeyError),
        tracing.invocation("f", Kind.INTERNAL),
        tracing.span("step"),
    ):
        raise KeyError("x")
    assert {span["status"]["message"] for span in exports.spans.values()} == {"KeyError"}


def test_finished_steps_are_added_at_their_times(exports: Exports) -> None:
    now = time.monotonic()
    with tracing.invocation("f", Kind.INTERNAL):
        tracing.add("decode", now - 2.0, now - 1.0)
    step = exports.spans["decode"]
    began, ended = int(step["startTimeUnixNano"]), int(step["endTimeUnixNano"])
    assert ended - began == pytest.approx(1e9, rel=1e-3)
    assert time.time_ns() - began > 2e9


def test_collector_that_is_away_costs_one_attempt_and_no_invocation(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = []

    def refuse(body: bytes) -> None:
        attempts.append(body)
        raise ConnectionRefusedError("no collector")

    monkeypatch.setattr(tracing._recorder(), "_post", refuse)
    log.configure()
    for _ in range(3):
        with tracing.invocation("f", Kind.INTERNAL):
            pass
    assert len(attempts) == 1
    assert "traces_not_exported" in capsys.readouterr().out
    assert exports.bodies == []


def test_statement_is_named_by_verb_and_table() -> None:
    assert otlp._summary("  SELECT id FROM orders WHERE id = %s") == "SELECT orders"
    assert otlp._summary("insert into payments values (%s)") == "INSERT payments"
    assert otlp._summary("BEGIN; SET LOCAL x") == "BEGIN"


def test_headers_are_read_as_opentelemetry_writes_them() -> None:
    assert headers_of("api-key=a%20b, tenant = t") == {"api-key": "a b", "tenant": "t"}


def test_off_imports_nothing_and_records_nothing() -> None:
    script = (
        "import sys; from services.platform import tracing\n"
        "with tracing.invocation('f', tracing.Kind.SERVER), tracing.span('x'): pass\n"
        "print([m for m in ('services.platform.otlp', 'http.client') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={}
    )
    assert done.stdout.strip() == "[]"
    assert tracing.span("a") is tracing.span("b")
