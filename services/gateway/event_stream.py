"""GET /events: a stream of what happens to the caller's photos and orders, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

An embedded lab has it; on AWS an HTTP API cannot stream (docs/decisions.md). Events of the time
before a stream are not repeated, so they have no ids: a client that connects, or connects again,
first reads what it wants to follow.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from services.gateway.responses import GatewayError, Response
from services.gateway.routes import Route
from services.runtime import output

ROUTE = Route("GET", "/events", "", authorized=True)
# A browser has six connections to an origin, of all of its tabs together.
MAX_STREAMS_PER_ACCOUNT = 4
MAX_STREAMS = 64
# A stream that has not sent this many events ends: its client reads too slowly.
MAX_WAITING_EVENTS = 100
# After this long without an event a comment is sent, and at most this long after the last check the
# session is checked again.
HEARTBEAT_SECONDS = 15
# When a client connects again after an end.
RETRY_SECONDS = 3
BUSY_RETRY_AFTER_SECONDS = 30
# Time to send the end of a stream.
END_SECONDS = 0.5

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # nginx and others pass on each event at once.
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True)
class Event:
    """Something that happened to a photo or an order of `owner`. `subject` is its id; `cause` is
    the correlation id: of a photo's events the id of its upload."""

    owner: str
    type: str
    subject: str
    time: str
    cause: str

    def encode(self) -> bytes:
        """The event in the stream's form."""
        document = {"type": self.type, "id": self.subject, "time": self.time}
        if self.cause:
            document["correlation_id"] = self.cause
        return f"data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


class Source(Protocol):
    """Where events come from, while there is a stream."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class _Stream:
    """One client's stream."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING_EVENTS)
        self.overflowed = asyncio.Event()

    def put(self, event: bytes) -> None:
        try:
            self.waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.overflowed.set()


Authorize = Callable[[], Awaitable[Mapping[str, Any]]]
"""The authorizer's context of a request's token; raises an exception when it cannot be had."""


class EventStreams:
    """All streams of a gateway. For one event loop."""

    def __init__(
        self, draining: asyncio.Event, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self.source: Source | None = None
        self._draining = draining
        self._heartbeat_seconds = heartbeat_seconds
        self._streams: dict[_Stream, str] = {}

    def publish(self, event: Event) -> None:
        """Sends the event to the streams of its owner."""
        text = event.encode()
        for stream, owner in self._streams.items():
            if owner == event.owner:
                stream.put(text)

    def open(self, context: Mapping[str, Any], authorize: Authorize) -> Response:
        """The stream of the user in the authorizer's `context`, or why there is none. `authorize`
        is called again while the stream is open."""
        refusal = _refusal(context)
        if refusal is not None:
            return refusal
        owner = str(context["user_id"])
        if self._draining.is_set() or len(self._streams) >= MAX_STREAMS:
            return GatewayError.UNAVAILABLE.answer(retry_after_seconds=BUSY_RETRY_AFTER_SECONDS)
        if Counter(self._streams.values())[owner] >= MAX_STREAMS_PER_ACCOUNT:
            return GatewayError.TOO_MANY_REQUESTS.answer(
                retry_after_seconds=BUSY_RETRY_AFTER_SECONDS
            )

        async def serve(receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
            stream = _Stream()
            self._streams[stream] = owner
            if self.source is not None:
                self.source.start()
            try:
                await self._serve(stream, authorize, receive, send)
            finally:
                del self._streams[stream]
                if not self._streams and self.source is not None:
                    self.source.stop()

        return Response(200, list(_HEADERS), b"", stream=serve)

    async def _serve(
        self,
        stream: _Stream,
        authorize: Authorize,
        receive: Callable[[], Any],
        send: Callable[[Any], Any],
    ) -> None:
        """Writes until the client goes away, its session ends, or the gateway stops."""
        ends = {
            asyncio.create_task(self._write(stream, authorize, send)): "session ended",
            asyncio.create_task(_disconnected(receive)): "client disconnected",
            asyncio.create_task(self._draining.wait()): "gateway stops",
            asyncio.create_task(stream.overflowed.wait()): "client reads too slowly",
        }
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
        for task in done:
            task.result()
        output.logger().info("event_stream_ended", reason=ends[done.pop()])
        # A client that does not read is disconnected by the server.
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(
        self, stream: _Stream, authorize: Authorize, send: Callable[[Any], Any]
    ) -> None:
        """Writes events and comments until the session ends."""
        await send(_chunk(f"retry: {RETRY_SECONDS * 1000}\n\n".encode()))
        check_at = time.monotonic() + self._heartbeat_seconds
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    text = await stream.waiting.get()
            except TimeoutError:
                text = b":\n\n"
            if time.monotonic() >= check_at:
                if await _ended(authorize):
                    return
                check_at = time.monotonic() + self._heartbeat_seconds
            await send(_chunk(text))


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _disconnected(receive: Callable[[], Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(authorize: Authorize) -> bool:
    """Whether the session has ended. An authorizer that fails does not end it."""
    try:
        refusal = _refusal(await authorize())
    except Exception:  # noqa: BLE001  it is asked again
        return False
    return refusal is not None and refusal.status != GatewayError.UNAVAILABLE.status


def _refusal(context: Mapping[str, Any]) -> Response | None:
    """The answer to a caller who gets no stream: without a session, or with an API key."""
    state = context.get("session")
    if state == "unavailable":
        return GatewayError.UNAVAILABLE.answer(retry_after_seconds=BUSY_RETRY_AFTER_SECONDS)
    if state != "valid" or not context.get("user_id"):
        return GatewayError.UNAUTHORIZED.answer()
    if "scopes" in context:
        return GatewayError.FORBIDDEN.answer()
    if float(context.get("expires_at", 0)) <= time.time():
        return GatewayError.UNAUTHORIZED.answer()
    return None
