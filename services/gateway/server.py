"""The HTTP server: listens, holds its ground against bad clients, drains and stops.

uvicorn with h11 does HTTP; this adds what it leaves to a proxy in front of it, and there is none.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.gateway import site
from services.gateway.application import Application, Cors, GatewayContext
from services.gateway.authorizer import Authorizer
from services.gateway.configuration import Plan
from services.gateway.event_queue import EventQueue
from services.gateway.event_stream import EventStreams
from services.gateway.invoke_api import ask_pool, remote
from services.gateway.pool import Pool
from services.gateway.responses import GatewayError
from services.gateway.routes import Router
from services.gateway.site import Site
from services.gateway.throttle import Throttle
from services.runtime import health, output, processes
from services.runtime.backoff import pause
from services.runtime.execution import InitError, Stopping
from services.runtime.exit_codes import ExitCode
from services.runtime.forked import TemplateClient
from services.runtime.function import Function
from services.runtime.status import StatusFile

# Time for a client to send the head of a request.
HEAD_SECONDS = 10.0
# Time for a client to read a response.
WRITE_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 60
# Further connections are closed at once; each may hold a body.
MAX_CONNECTIONS = 512
# One client cannot take up all of them. An IPv6 client has a /64 network of addresses.
MAX_CONNECTIONS_PER_ADDRESS = 256
_IPV6_NETWORK_GROUPS = 4
# More than API Gateway's limit, so that the application can answer requests slightly above it.
MAX_INCOMPLETE_HEAD_BYTES = 16 * 1024
TICK_SECONDS = 1.0
# After force: time for environments to end, and then for responses to be sent.
FORCED_SECONDS = 5.0
ANSWER_SECONDS = 0.5
PREWARM_BASE_SECONDS = 1.0
PREWARM_CAP_SECONDS = 60.0
# Upper bound of the files that an environment keeps open in this process.
FILES_PER_ENVIRONMENT = 16
REMOTE_CALLS = 8
# Threads that close idle environments while all others are busy.
SPARE_THREADS = 4


class _Protocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _address = ""
    _half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = _network(self.client)
        same_address = sum(
            isinstance(other, _Protocol) and other._address == self._address
            for other in self.connections
        )
        if len(self.connections) > MAX_CONNECTIONS or same_address > MAX_CONNECTIONS_PER_ADDRESS:
            self.transport.abort()
            return
        # asyncio does it only for sockets that were made with their protocol's number, which
        # accepted ones here are not. Without it an answer waits 40 ms for an acknowledgement.
        self.transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not begun:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection open for the response to a complete request: a client may close its
        half after sending (RFC 9112 section 9.6)."""
        running = self.cycle is not None and not self.cycle.response_complete
        if not running or self.conn.their_state is not h11.DONE:
            return False
        self._half_closed = True
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._half_closed and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  theirs
        """Answers a request that h11 could not parse, in API Gateway's form."""
        error = sys.exc_info()[1]
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        own = (
            GatewayError.HEADERS_TOO_LARGE
            if hint == GatewayError.HEADERS_TOO_LARGE.status
            else GatewayError.BAD_REQUEST
        )
        output.write_json(
            event="request", method=None, route=None, status=own.status, reason=str(error)
        )
        # In the middle of a response no other can be sent.
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = own.answer()
            headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
            events = (
                h11.Response(
                    status_code=answer.status,
                    headers=[*headers, (b"connection", b"close")],
                    reason=own.value[1].encode(),
                ),
                h11.Data(data=answer.body),
                h11.EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _give_up(self) -> None:
        self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _network(client: tuple[str, int] | None) -> str:
    """The client's address; of an IPv6 address its /64 network."""
    if client is None:
        return ""
    if ":" not in client[0]:
        return client[0]
    exploded = ipaddress.ip_address(client[0].partition("%")[0]).exploded
    return ":".join(exploded.split(":")[:_IPV6_NETWORK_GROUPS])


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: `_Source` decides how this process stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Log(logging.Handler):
    """Writes log records of the libraries as JSON lines."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        output.logger().error("server_error", message=record.getMessage(), exc_info=error)


def run(plan: Plan, started_event: str) -> ExitCode:
    """Serves until SIGTERM or SIGINT; `started_event` is the log event with the address.

    The first signal ends listening and lets running requests finish; a second one, or the drain
    time, ends them.
    """
    for name in ("uvicorn.error", "asyncio"):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [_Log()], False
        library.setLevel(logging.ERROR)
    _allow_files(plan)
    family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
    try:
        listener = socket.create_server((plan.host, plan.port), family=family, backlog=1024)
    except OSError as error:
        output.logger().error(
            "listen_failed", host=plan.host, port=plan.port, reason=error.strerror or str(error)
        )
        return ExitCode.FAILED
    code = asyncio.run(_Source(plan).serve(listener, started_event))
    output.logger().info("worker_stopped", exit_code=int(code), outcome=code.name.lower())
    return code


def _application(plan: Plan, context: GatewayContext) -> Application | Site:
    application = Application(context)
    if plan.site is None:
        return application
    page = plan.site
    files = site.load(
        page.folder,
        page.origins,
        page.stripe_publishable_key,
        events=plan.events is not None,
    )
    return Site(application, files)


class _Source:
    """All parts of one http source, on its event loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        total = sum(served.concurrency for served in plan.functions)
        executor = ThreadPoolExecutor(total + SPARE_THREADS, thread_name_prefix="environment")
        # More starts at a time than processors would only make each of them late.
        starting = threading.Semaphore(os.cpu_count() or 1)
        fd = plan.process.template_fd
        template = TemplateClient(fd) if fd is not None else None
        self._pools = {
            served.function.name: Pool(
                served.function,
                served.concurrency,
                plan.idle_seconds,
                executor,
                starting,
                template,
            )
            for served in plan.functions
        }
        self._warmed = not plan.prewarmed

    async def serve(self, listener: socket.socket, started_event: str) -> ExitCode:
        plan = self._plan
        draining = asyncio.Event()
        context = GatewayContext(
            api=plan.api,
            router=Router(plan.routes),
            pools=self._pools,
            authorizer=self._authorizer(),
            throttle=Throttle(plan.throttle.requests_per_second, plan.throttle.burst)
            if plan.throttle is not None
            else None,
            invoked=self._pools[plan.invoked] if plan.invoked is not None else None,
            cors={served.function.name: _cors(served.function) for served in plan.functions},
            streams=_streams(plan, draining),
            draining=draining,
        )
        server = _Server(
            uvicorn.Config(
                _application(plan, context),
                http=_Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                h11_max_incomplete_event_size=MAX_INCOMPLETE_HEAD_BYTES,
            )
        )
        stops: asyncio.Queue[None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stops.put_nowait, None)
        host, port = listener.getsockname()[:2]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        background = [asyncio.create_task(self._maintain(context))]
        if plan.prewarmed:
            background += [asyncio.create_task(self._prewarm(p)) for p in self._pools.values()]
        output.logger().info(
            started_event,
            address=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
            functions=sorted(self._pools),
            routes=[route.key for route in plan.routes],
            pid=os.getpid(),
        )
        first = asyncio.create_task(stops.get())
        await asyncio.wait({serving, first}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            output.logger().error("server_failed", exc_info=serving.exception())
            await self._force(server, serving)
            return ExitCode.FAILED
        output.logger().info("drain_started", seconds=plan.process.drain_seconds)
        context.draining.set()
        server.should_exit = True
        for task in background[1:]:
            task.cancel()
        code = await self._drain(server, serving, stops)
        for task in background:
            task.cancel()
        return code

    async def _drain(
        self, server: _Server, serving: asyncio.Task[None], stops: asyncio.Queue[None]
    ) -> ExitCode:
        second = asyncio.create_task(stops.get())
        finished = asyncio.create_task(self._finished(serving))
        await asyncio.wait(
            {finished, second},
            timeout=self._plan.process.drain_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        second.cancel()
        if not finished.done():
            output.logger().warning("stop_forced")
            finished.cancel()
            await self._force(server, serving)
            return ExitCode.UNFINISHED
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        return ExitCode.DRAINED

    async def _finished(self, serving: asyncio.Task[None]) -> None:
        """Waits until every request is answered and every environment is idle."""
        await asyncio.wait({serving})
        await self._idle()

    async def _idle(self) -> None:
        while any(pool.busy for pool in self._pools.values()):
            await asyncio.sleep(0.02)

    async def _force(self, server: _Server, serving: asyncio.Task[None]) -> None:
        for pool in self._pools.values():
            pool.force()
        with suppress(TimeoutError):
            async with asyncio.timeout(FORCED_SECONDS):
                await self._idle()
        # Requests whose environment was killed are answered; slow clients are disconnected.
        await asyncio.wait({serving}, timeout=ANSWER_SECONDS)
        server.force_exit = True
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        serving.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FORCED_SECONDS):
                await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    def _authorizer(self) -> Authorizer | None:
        by = self._plan.authorizer
        if by is None:
            return None
        if by.function is not None:
            pool = self._pools[by.function]

            async def ask(event: bytes) -> bytes:
                return await ask_pool(pool, event)

            return Authorizer(ask, by.cache_seconds, starting=lambda: pool.starting)
        calls = ThreadPoolExecutor(REMOTE_CALLS, thread_name_prefix="authorizer")
        return Authorizer(remote(by.url or "", calls), by.cache_seconds)

    async def _maintain(self, context: GatewayContext) -> None:
        """Every second: writes health and status, closes idle environments, reaps orphans."""
        file = self._plan.process.health_file
        status_file = StatusFile(
            self._plan.process.status_file, [pool.status for pool in self._pools.values()]
        )
        while True:
            healthy = context.draining.is_set() or (
                self._warmed and not any(pool.failing for pool in self._pools.values())
            )
            if file is not None and healthy:
                # The age of a file that cannot be touched says that something is wrong.
                with suppress(OSError):
                    health.touch(file)
            status_file.update(draining=context.draining.is_set())
            processes.reap_orphans()
            await asyncio.gather(*(pool.close_idle() for pool in self._pools.values()))
            await asyncio.sleep(TICK_SECONDS)

    async def _prewarm(self, pool: Pool) -> None:
        """Starts the first environment: the gateway is healthy once it could start."""
        attempt = 0
        while True:
            try:
                await pool.prewarm()
            except InitError:
                attempt += 1
                await asyncio.sleep(pause(attempt, PREWARM_BASE_SECONDS, PREWARM_CAP_SECONDS))
            except Stopping:
                return
            else:
                self._warmed = True
                return


def _streams(plan: Plan, draining: asyncio.Event) -> EventStreams | None:
    if plan.events is None:
        return None
    streams = EventStreams(draining, plan.events.heartbeat_seconds)
    loop = asyncio.get_running_loop()
    streams.source = EventQueue(plan.events.queue_url, loop, streams.publish)
    return streams


def _cors(function: Function) -> Cors:
    """The function's own settings (`CorsConfiguration`, which not every image can import)."""
    variables = {**os.environ, **function.variables}

    def listed(name: str) -> tuple[str, ...]:
        return tuple(filter(None, (one.strip() for one in variables.get(name, "").split(","))))

    return Cors(listed("CORS_ORIGINS"), listed("CORS_EXPOSE_HEADERS"))


def _allow_files(plan: Plan) -> None:
    """Raises the limit of open files, within the hard limit, to what the plan can need."""
    wanted = MAX_CONNECTIONS + 256
    wanted += FILES_PER_ENVIRONMENT * sum(served.concurrency for served in plan.functions)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
