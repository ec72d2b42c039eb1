"""The limits of event streams: how many are open, and how many events wait for a slow reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from services.gateway import event_stream
from services.gateway.event_stream import (
    BUSY_RETRY_AFTER_SECONDS,
    MAX_STREAMS,
    MAX_STREAMS_PER_ACCOUNT,
    MAX_WAITING_EVENTS,
    Event,
    EventStreams,
)
from services.gateway.responses import Response
from tests.support.waiting import scaled

LIMIT_SECONDS = 10


def session(owner: str) -> dict[str, Any]:
    return {"session": "valid", "user_id": owner, "expires_at": "99999999999"}


def event(owner: str, number: int) -> Event:
    return Event(owner, "image.developed", f"photo-{number}", "now", "")


async def authorize() -> Mapping[str, Any]:
    return session("any")


@dataclass
class Client:
    """A client that stays connected. While `reads` is not set, the server's `send` waits, as it
    does when the client's and the kernel's buffers are full."""

    reads: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.reads.wait()
        self.received.append(message["body"])


def open_stream(streams: EventStreams, owner: str) -> Response:
    return streams.open(session(owner), authorize)


@asynccontextmanager
async def served(
    streams: EventStreams, client: Client, owner: str
) -> AsyncIterator[asyncio.Future[None]]:
    """A stream that is served to the client; it has begun."""
    answer = open_stream(streams, owner)
    assert answer.stream is not None
    task = asyncio.ensure_future(answer.stream(client.receive, client.send))
    try:
        await asyncio.sleep(0)
        yield task
    finally:
        client.left.set()
        client.reads.set()
        async with asyncio.timeout(scaled(LIMIT_SECONDS)):
            await task


def test_stream_of_a_slow_reader_ends_when_too_many_events_wait() -> None:
    async def run() -> None:
        streams = EventStreams(asyncio.Event())
        slow, fast = Client(), Client()
        fast.reads.set()
        async with served(streams, slow, "ada") as task, served(streams, fast, "bob"):
            # Its first line, the retry time, is being sent, so all events wait.
            for number in range(MAX_WAITING_EVENTS):
                streams.publish(event("ada", number))
            streams.publish(event("bob", 1))
            await asyncio.sleep(0.05)
            assert not task.done()
            assert len(fast.received) == 2
            streams.publish(event("ada", MAX_WAITING_EVENTS))
            with capture_logs() as logged:
                async with asyncio.timeout(scaled(LIMIT_SECONDS)):
                    await task
            assert [one["reason"] for one in logged] == ["client reads too slowly"]
            # Other streams go on, and the place of the ended one is free.
            streams.publish(event("bob", 2))
            assert open_stream(streams, "ada").status == 200

    asyncio.run(run())


def test_reader_that_catches_up_gets_every_event_in_order() -> None:
    async def run() -> None:
        streams = EventStreams(asyncio.Event())
        client = Client()
        async with served(streams, client, "ada"):
            for number in range(MAX_WAITING_EVENTS):
                streams.publish(event("ada", number))
            client.reads.set()
            async with asyncio.timeout(scaled(LIMIT_SECONDS)):
                while len(client.received) <= MAX_WAITING_EVENTS:
                    await asyncio.sleep(0)
            sent = [event("ada", number).encode() for number in range(MAX_WAITING_EVENTS)]
            assert client.received[1:] == sent

    asyncio.run(run())


def test_gateway_refuses_more_streams_than_its_limit_and_frees_places() -> None:
    async def run() -> None:
        streams = EventStreams(asyncio.Event())
        clients = [Client() for _ in range(MAX_STREAMS)]
        tasks: list[asyncio.Future[None]] = []
        for number, client in enumerate(clients):
            answer = open_stream(streams, f"user-{number // MAX_STREAMS_PER_ACCOUNT}")
            assert answer.stream is not None
            tasks.append(asyncio.ensure_future(answer.stream(client.receive, client.send)))
            await asyncio.sleep(0)
        refused = open_stream(streams, "another")
        assert refused.status == 503
        assert (b"retry-after", str(BUSY_RETRY_AFTER_SECONDS).encode()) in refused.headers
        clients[0].left.set()
        clients[0].reads.set()
        async with asyncio.timeout(scaled(LIMIT_SECONDS)):
            await tasks[0]
        assert open_stream(streams, "another").status == 200
        for client in clients:
            client.left.set()
            client.reads.set()
        async with asyncio.timeout(scaled(LIMIT_SECONDS)):
            await asyncio.gather(*tasks)

    asyncio.run(run())


def test_end_of_a_stream_does_not_wait_for_a_client_that_does_not_read() -> None:
    async def run() -> None:
        draining = asyncio.Event()
        streams = EventStreams(draining)
        client = Client()
        async with served(streams, client, "ada") as task:
            draining.set()
            async with asyncio.timeout(scaled(LIMIT_SECONDS) + event_stream.END_SECONDS):
                await task
            assert client.received == []

    asyncio.run(run())
