"""The server's patience with clients that are slow on purpose."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from services.gateway import server
from tests.support.waiting import scaled

LARGE = 32 * 1024 * 1024


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    body = b"x" * (LARGE if scope["path"] == "/large" else 2)
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@asynccontextmanager
async def serving() -> AsyncIterator[Callable[..., Coroutine[Any, Any, Any]]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application,
        http=server._Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        h11_max_incomplete_event_size=server.MAX_INCOMPLETE_HEAD_BYTES,
    )
    running = server._Server(config)
    task = asyncio.create_task(running.serve([listener]))
    port = listener.getsockname()[1]
    yield lambda address="127.0.0.1": asyncio.open_connection(
        "127.0.0.1", port, local_addr=(address, 0)
    )
    running.should_exit = True
    await asyncio.wait_for(task, scaled(10))


def run(test: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with serving() as connect:
            await asyncio.wait_for(test(connect), scaled(10))

    asyncio.run(whole())


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the connection has ended, without a word."""
    try:
        return await reader.read(1000) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)

    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(sent)
        assert await ended(reader)
        writer.close()

    run(test)


def test_a_second_head_that_comes_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)

    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.5)  # nothing has begun: that is keep-alive's affair
        assert not reader.at_eof()
        ending = asyncio.create_task(ended(reader))
        for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if ending.done():
                break
        assert await ending
        writer.close()

    run(test)


def test_a_head_in_pieces_that_is_in_time() -> None:
    async def test(connect: Any) -> None:
        reader, writer = await connect()
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
        writer.close()

    run(test)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    async def test(connect: Any) -> None:
        reader, writer = await connect()
        seconds = []
        for _ in range(50):
            began = asyncio.get_running_loop().time()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"xx")
            seconds.append(asyncio.get_running_loop().time() - began)
        # Linux delays an acknowledgement by at least 40 ms, whatever the machine.
        assert min(seconds) < 0.04
        writer.close()

    run(test)


def test_response_that_is_not_read_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_SECONDS", 0.3)

    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(1)
        size = 0
        try:
            while chunk := await reader.read(1 << 20):
                size += len(chunk)
        except ConnectionError:
            pass
        assert size < LARGE
        writer.close()

    run(test)


def test_more_connections_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)

    async def test(connect: Any) -> None:
        kept = []
        for _ in range(2):
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"xx")
            kept.append((reader, writer))
        reader, writer = await connect()
        assert await ended(reader)
        writer.close()
        kept[0][1].close()
        await asyncio.sleep(0.1)
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
        for _, open_writer in [*kept[1:], (reader, writer)]:
            open_writer.close()

    run(test)


def test_connections_of_one_address_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS_PER_ADDRESS", 3)

    async def test(connect: Any) -> None:
        slow = [await connect("127.0.0.2") for _ in range(3)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\nHo")
        reader, writer = await connect("127.0.0.2")
        assert await ended(reader)
        writer.close()
        reader, writer = await connect("127.0.0.3")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
        for _, open_writer in [*slow, (reader, writer)]:
            open_writer.close()

    run(test)


@pytest.mark.parametrize("path", [b"/", b"/slow"])
def test_half_closed_request_is_answered_and_the_connection_ends(path: bytes) -> None:
    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        data = await reader.read(-1)
        assert data.startswith(b"HTTP/1.1 200")
        assert data.endswith(b"xx")
        writer.close()

    run(test)


def test_half_closed_pipelined_requests_are_all_answered() -> None:
    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        writer.write_eof()
        assert (await reader.read(-1)).count(b"HTTP/1.1 200") == 2
        writer.close()

    run(test)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"],
)
def test_half_closed_incomplete_request_ends_the_connection(sent: bytes) -> None:
    async def test(connect: Any) -> None:
        reader, writer = await connect()
        writer.write(sent)
        writer.write_eof()
        assert await ended(reader)
        writer.close()

    run(test)
