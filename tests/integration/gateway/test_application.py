"""The application over real environments, with its patience shortened."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.gateway import application as module
from services.gateway import authorizer as authorizers
from services.gateway import pool as pools
from services.gateway.application import Application, Cors, GatewayContext
from services.gateway.authorizer import Authorizer
from services.gateway.events import Api
from services.gateway.invoke_api import ask_pool
from services.gateway.pool import Pool
from services.gateway.routes import Route, Router
from services.runtime.function import Function
from tests.integration.gateway.support import write_http_function
from tests.support.waiting import scaled

SITE = "https://photos.example"
SLEEPS = """
    import os, time
    def handler(event, context):
        time.sleep(float(event.get("rawQueryString") or 0))
        return {"statusCode": 200, "body": str(os.getpid())}
"""


class Asked:
    """One request, and the answer it got."""

    def __init__(self, *chunks: bytes, path: str = "/x", query: str = "") -> None:
        self._chunks = list(chunks) or [b""]
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [(b"host", b"a"), (b"authorization", b"me")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }

    async def receive(self) -> Any:
        if not self._chunks:
            await asyncio.sleep(60)
        body = self._chunks.pop(0)
        return {"type": "http.request", "body": body, "more_body": body != b""}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]

    async def through(self, app: Application) -> Asked:
        await app(self.scope, self.receive, self.send)
        return self


@asynccontextmanager
async def served(
    folder: Path, handler: str = SLEEPS, *, concurrency: int = 1, authorized: bool = False
) -> AsyncIterator[tuple[Application, Pool]]:
    written = write_http_function(folder / "f", handler, route="ANY /x")
    variables = {"AWS_REGION": "eu-west-1"}
    function = Function("f", written, 256, 20, "arn:aws:lambda", 10, variables)
    executor = ThreadPoolExecutor(8)
    pool = Pool(function, concurrency, 300, executor, threading.Semaphore(2))
    app = Application(
        GatewayContext(
            api=Api("000000000000", "eu-west-1", "darkroom"),
            router=Router([Route("ANY", "/x", "f", authorized)]),
            pools={"f": pool},
            authorizer=Authorizer(lambda event: ask_pool(pool, event), 30) if authorized else None,
            cors={"f": Cors((SITE,), ("etag",))},
        )
    )
    try:
        yield app, pool
    finally:
        pool.force()
        while pool.busy:
            await asyncio.sleep(0.01)
        await pool.close()
        executor.shutdown()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), scaled(30))

    asyncio.run(whole())


async def free(pool: Pool) -> None:
    while pool.busy:
        await asyncio.sleep(0.01)


def test_the_integrations_timeout_leaves_the_environment_to_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with served(tmp_path) as (app, pool):
            first = await Asked().through(app)
            monkeypatch.setattr(module, "INTEGRATION_SECONDS", 0.3)
            late = await Asked(query="1").through(app)
            assert late.status == 503
            assert json.loads(late.body) == {"message": "Service Unavailable"}
            assert pool.busy == 1
            await free(pool)
            again = await Asked().through(app)
            assert (again.status, again.body) == (200, first.body), "the same process goes on"

    run(test)


def test_an_authorizer_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorizers, "ANSWER_SECONDS", 0.5)

    async def test() -> None:
        async with served(
            tmp_path, "import time\ndef handler(e, c): time.sleep(2)", authorized=True
        ) as (app, _):
            assert (await Asked().through(app)).status == 500

    run(test)


@pytest.mark.parametrize("origin", [SITE, "https://other.example"])
def test_gateway_errors_allow_only_the_pages_of_the_route(tmp_path: Path, origin: str) -> None:
    async def test() -> None:
        async with served(tmp_path, authorized=True) as (app, _):
            asked = Asked()
            asked.scope["headers"] = [(b"host", b"a"), (b"origin", origin.encode())]
            await asked.through(app)
            assert asked.status == 401
            assert asked.headers[b"vary"] == b"origin"
            allowed = asked.headers.get(b"access-control-allow-origin")
            assert allowed == (origin.encode() if origin == SITE else None)
            assert asked.headers.get(b"access-control-expose-headers") == (
                b"etag" if origin == SITE else None
            )

    run(test)


def test_gateway_error_without_a_route_allows_no_page(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (app, _):
            asked = Asked(path="/nowhere")
            asked.scope["headers"] = [(b"host", b"a"), (b"origin", SITE.encode())]
            await asked.through(app)
            assert asked.status == 404
            assert b"access-control-allow-origin" not in asked.headers

    run(test)


def test_a_body_that_stops_coming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", 0.1)

    async def test() -> None:
        async with served(tmp_path) as (app, pool):
            asked = await Asked(b"half").through(app)
            assert (asked.status, asked.headers[b"connection"]) == (408, b"close")
            assert pool.alive == 0

    run(test)


def test_what_all_bodies_may_take_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 1000)

    async def test() -> None:
        async with served(tmp_path) as (app, _):
            for _ in range(3):
                assert (await Asked(b"x" * 600, b"x" * 600, b"").through(app)).status == 503
                assert (await Asked(b"x" * 900, b"").through(app)).status == 200, "all given back"

    run(test)


def test_those_who_stop_waiting_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "QUEUE_SECONDS", 5.0)

    async def test() -> None:
        async with served(tmp_path, concurrency=2) as (app, pool):
            asking = [asyncio.create_task(Asked(query="0.1").through(app)) for _ in range(30)]
            await asyncio.sleep(0.3)
            for task in asking[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
            assert [getattr(o, "status", 0) for o in outcomes[1::2]] == [200] * 15
            await free(pool)
            assert pool.alive == 2
            assert not pool._waiting
            assert not pool._settling

    run(test)


def test_a_start_that_hangs_does_not_keep_others_from_starting(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            served(tmp_path / "hangs", "import time; time.sleep(60)") as (hanging, _),
            served(tmp_path / "well") as (well, pool),
        ):
            pool._starts = threading.Semaphore(0)
            waiting = asyncio.create_task(Asked().through(hanging))
            assert (await Asked().through(well)).status == 200
            waiting.cancel()

    run(test)


def test_forced_environments_are_gone(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, concurrency=2) as (app, pool):
            pid = int((await Asked().through(app)).body)
            asking = asyncio.create_task(Asked(query="10").through(app))
            await asyncio.sleep(0.2)
            pool.force()
            assert (await asking).status == 503
            assert (await Asked().through(app)).status == 503, "nothing starts any more"
            await free(pool)
            await pool.close()
            assert pool.alive == 0
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    run(test)
