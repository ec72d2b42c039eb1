"""Records spans and sends them by OTLP over HTTP, as JSON.

https://opentelemetry.io/docs/specs/otlp/#otlphttp and, for names of attributes,
https://opentelemetry.io/docs/specs/semconv/. The standard library alone: OpenTelemetry's own SDK
and exporter take 300 ms of CPU to import (docs/decisions.md).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from services.platform.tracing import TRACEPARENT, Kind

PATH = "/v1/traces"
# X-Ray's endpoint takes OTLP with a signature of AWS:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html
_XRAY = re.compile(r"xray\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
EXPORT_SECONDS = 1.0
# A collector that does not answer is not asked again for so long.
PAUSE_SECONDS = 30.0
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
_ATTRIBUTES_MAX = 10
_QUERY_CHARACTERS = 500
_CONTEXT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+([a-z_][a-z_.]*)", re.IGNORECASE)
_SENDS = ("sqs.SendMessage", "sns.Publish")
_STATUS_ERROR = 2
# Where botocore keeps the span of a call.
_OF_CALL = "darkroom_span"


@dataclass
class _Trace:
    """The id may change while the invocation learns what it is about; spans refer to this."""

    id: str


@dataclass
class _Span:
    name: str
    kind: Kind
    trace: _Trace
    parent: _Span | str | None
    """A span of this invocation, or the id of another's."""
    attributes: dict[str, Any]
    links: list[tuple[str, str]] = field(default_factory=list)
    id: str = field(default_factory=lambda: os.urandom(8).hex())
    began_ns: int = field(default_factory=time.time_ns)
    ended_ns: int = 0
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """As OTLP's JSON has it."""
        parent = self.parent.id if isinstance(self.parent, _Span) else self.parent
        document: dict[str, Any] = {
            "traceId": self.trace.id,
            "spanId": self.id,
            "name": self.name,
            "kind": int(self.kind),
            "startTimeUnixNano": str(self.began_ns),
            "endTimeUnixNano": str(self.ended_ns),
            "attributes": _attributes(self.attributes),
        }
        if parent is not None:
            document["parentSpanId"] = parent
        if self.links:
            document["links"] = [{"traceId": t, "spanId": s} for t, s in self.links]
        if self.error is not None:
            document["status"] = {"code": _STATUS_ERROR, "message": self.error}
        return document


def trace_id(correlation_id: str) -> str:
    """The trace of a photo or an order, 32 hexadecimal digits."""
    return hashlib.sha256(f"trace:{correlation_id}".encode()).hexdigest()[:32]


def _origin_id(correlation_id: str) -> str:
    """The root span of that trace."""
    return hashlib.sha256(f"origin:{correlation_id}".encode()).hexdigest()[:16]


def headers_of(text: str) -> dict[str, str]:
    """`name=value` pairs with commas between them, URL-encoded, as OpenTelemetry reads them."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


@dataclass
class Recorder:
    """Holds the spans of an invocation until its end, and then exports them."""

    endpoint: str
    headers: Mapping[str, str]
    service: str
    _finished: list[_Span] = field(default_factory=list)
    _open: ContextVar[_Span | None] = field(
        default_factory=lambda: ContextVar("open_span", default=None)
    )
    _root: ContextVar[_Span | None] = field(
        default_factory=lambda: ContextVar("root_span", default=None)
    )
    _silent_until: float = 0.0

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Mapping[str, Any]) -> Iterator[None]:
        """Without an invocation nothing is recorded."""
        parent = self._open.get()
        if parent is None:
            yield
            return
        with self._recording(_Span(name, kind, parent.trace, parent, dict(attributes))):
            yield

    @contextmanager
    def invocation(
        self, name: str, kind: Kind, contexts: tuple[str, ...], attributes: Mapping[str, Any]
    ) -> Iterator[None]:
        """See `tracing.invocation`."""
        found = [context for text in contexts if (context := _context(text)) is not None]
        span = _Span(name, kind, _Trace(os.urandom(16).hex()), None, dict(attributes))
        if len(found) == 1:
            span.trace.id, span.parent = found[0]
        else:
            span.links = found
        root = self._root.set(span)
        try:
            with self._recording(span):
                yield
        finally:
            self._root.reset(root)
            self._export()

    @contextmanager
    def message(self, name: str, context: str) -> Iterator[None]:
        """See `tracing.message`."""
        around = self._open.get()
        found = _context(context)
        if around is None:
            yield
            return
        span = _Span(name, Kind.CONSUMER, _Trace(os.urandom(16).hex()), None, {})
        span.links = [(around.trace.id, around.id)]
        if found is not None:
            span.trace.id, span.parent = found
        root = self._root.set(span)
        try:
            with self._recording(span):
                yield
        finally:
            self._root.reset(root)

    def follow(self, correlation_id: str, *, origin: bool) -> None:
        """See `tracing.follow`."""
        root = self._root.get()
        wanted = trace_id(correlation_id)
        if root is None or root.trace.id == wanted:
            return
        if isinstance(root.parent, str):
            root.links.append((root.trace.id, root.parent))
        root.trace.id = wanted
        if origin:
            root.id, root.parent = _origin_id(correlation_id), None
        else:
            root.parent = _origin_id(correlation_id)
        root.attributes["darkroom.correlation_id"] = correlation_id

    def add(self, name: str, began: float, ended: float) -> None:
        """See `tracing.add`."""
        parent = self._open.get()
        if parent is None:
            return
        span = _Span(name, Kind.INTERNAL, parent.trace, parent, {})
        offset_ns = time.time_ns() - time.monotonic_ns()
        span.began_ns, span.ended_ns = (int(t * 1e9) + offset_ns for t in (began, ended))
        self._finished.append(span)

    def context(self) -> str | None:
        """The open span as a W3C context."""
        span = self._open.get()
        return None if span is None else f"00-{span.trace.id}-{span.id}-01"

    def trace_client(self, client: Any) -> None:
        """See `tracing.trace_client`."""
        events = client.meta.events
        for operation in _SENDS:
            events.register(f"before-parameter-build.{operation}", self._inject)
        events.register("before-call", self._call_begins)
        events.register("after-call", self._call_ends)
        events.register("after-call-error", self._call_fails)

    def cursor_factory(self) -> Any:
        """See `tracing.cursor_factory`."""
        from psycopg2.extensions import cursor

        recorder = self

        class TracedCursor(cursor):
            def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002  psycopg2's name
                text = query.decode() if isinstance(query, bytes) else str(query)
                # Of a statement the placeholders, never the values.
                attributes = {
                    "db.system.name": "postgresql",
                    "db.query.text": " ".join(text.split())[:_QUERY_CHARACTERS],
                }
                with recorder.span(_summary(text), Kind.CLIENT, attributes):
                    super().execute(query, vars)

        return TracedCursor

    @contextmanager
    def _recording(self, span: _Span) -> Iterator[None]:
        before = self._open.set(span)
        try:
            yield
        except BaseException as error:
            span.error = type(error).__name__
            raise
        finally:
            self._open.reset(before)
            self._finish(span)

    def _finish(self, span: _Span) -> None:
        span.ended_ns = time.time_ns()
        self._finished.append(span)

    def _inject(self, params: dict[str, Any], **_: Any) -> None:
        context = self.context()
        attributes = params.get("MessageAttributes", {})
        if context is None or len(attributes) >= _ATTRIBUTES_MAX:
            return
        own = {TRACEPARENT: {"DataType": "String", "StringValue": context}}
        params["MessageAttributes"] = {**attributes, **own}

    def _call_begins(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        parent = self._open.get()
        if parent is None:
            return
        service = model.service_model.service_id
        attributes = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": model.name}
        span = _Span(f"{service}.{model.name}", Kind.CLIENT, parent.trace, parent, attributes)
        context[_OF_CALL] = span

    def _call_ends(self, parsed: Any, context: dict[str, Any], **_: Any) -> None:
        span = context.pop(_OF_CALL, None)
        if span is None:
            return
        found = parsed if isinstance(parsed, dict) else {}
        about = found.get("ResponseMetadata", {})
        span.attributes["http.response.status_code"] = about.get("HTTPStatusCode", 0)
        if request_id := about.get("RequestId"):
            span.attributes["aws.request_id"] = request_id
        # S3 answers without a body where an error has one.
        span.error = found.get("Error", {}).get("Code")
        self._finish(span)

    def _call_fails(self, exception: Exception, context: dict[str, Any], **_: Any) -> None:
        span = context.pop(_OF_CALL, None)
        if span is not None:
            span.error = type(exception).__name__
            self._finish(span)

    def _export(self) -> None:
        """Sends the spans before the environment may be frozen. They are lost when that fails: the
        invocation counts more."""
        spans, self._finished = self._finished, []
        if not spans or time.monotonic() < self._silent_until:
            return
        resource = {
            "service.name": self.service,
            "faas.name": self.service,
            "cloud.region": os.environ.get("AWS_REGION", ""),
        }
        scope = {"scope": {"name": "darkroom"}, "spans": [span.document() for span in spans]}
        body = json.dumps(
            {"resourceSpans": [{"resource": {"attributes": _attributes(resource)},
                                "scopeSpans": [scope]}]},
            separators=(",", ":"),
        ).encode()  # fmt: skip
        try:
            self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            # Imported late: the log follows traces too.
            from services.platform import log

            log.logger().warning("traces_not_exported", reason=str(error), spans=len(spans))

    def request_headers(self, address: str, body: bytes) -> dict[str, str]:
        """The headers of an export; signed for X-Ray's endpoint."""
        headers = {"content-type": "application/json", **self.headers}
        xray = _XRAY.fullmatch(urlsplit(address).hostname or "")
        if xray is None:
            return headers
        from services.platform.aws.signing import signed_headers

        return signed_headers(address, body, headers, service="xray", region=xray[1])

    def _post(self, body: bytes) -> None:
        url = urlsplit(self.endpoint)
        secure = url.scheme == "https"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = make(url.hostname or "", url.port, timeout=EXPORT_SECONDS)
        try:
            path = url.path.rstrip("/") + PATH
            headers = self.request_headers(f"{url.scheme}://{url.netloc}{path}", body)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= http.HTTPStatus.BAD_REQUEST:
                raise OSError(f"the collector answers {answer.status}")
        finally:
            connection.close()


def _context(text: str) -> tuple[str, str] | None:
    """Trace and span of a W3C context; None for another text."""
    found = _CONTEXT.fullmatch(text)
    return (found[1], found[2]) if found else None


def _summary(statement: str) -> str:
    """`SELECT orders`: https://opentelemetry.io/docs/specs/semconv/database/database-spans/#name"""
    words = statement.split(None, 1)
    verb = words[0].strip(";").upper() if words else "SQL"
    table = _TABLE.search(statement)
    return f"{verb} {table[1]}" if table else verb


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    def typed(value: Any) -> dict[str, Any]:
        if isinstance(value, bool):
            return {"boolValue": value}
        return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}

    return [{"key": key, "value": typed(value)} for key, value in values.items()]
