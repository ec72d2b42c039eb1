"""Handles one request, as an ASGI application.

Checks in API Gateway's order: size of the head, route, throttle, authorizer, function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from services.gateway import events, invoke_api, responses
from services.gateway.authorizer import (
    IDENTITY_HEADER,
    Authorizer,
    AuthorizerError,
    AuthorizerStartingError,
)
from services.gateway.event_stream import ROUTE as EVENTS_ROUTE
from services.gateway.event_stream import EventStreams
from services.gateway.events import Api, Request
from services.gateway.health import Health
from services.gateway.pool import Pool, ThrottledError
from services.gateway.responses import GatewayError, MalformedResponseError, Response
from services.gateway.routes import BadPathError, Match, Router, decode
from services.gateway.throttle import Throttle
from services.runtime import metrics, output
from services.runtime.execution import InitError, InitTimeoutError, Outcome, Stopping
from services.runtime.runtime_api import MAX_PAYLOAD_BYTES

HEALTH_PATH = "/_darkroom/health"
METRICS_PATH = "/_darkroom/metrics"
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_HEAD_BYTES = 10_240
MAX_BODY_BYTES = 10 * 1024 * 1024
INTEGRATION_SECONDS = 30.0
# Of a body that is too large this much is read, so that the client gets the response and no reset
# connection.
DISCARDED_BYTES = 4 * MAX_BODY_BYTES
# Time for a client to send a whole body.
BODY_SECONDS = 30.0
# For a client whose request met an environment that did not start in time.
STARTING_RETRY_AFTER_SECONDS = 5
# For a client whose request met busy environments only.
THROTTLED_RETRY_AFTER_SECONDS = 1
# Memory of all bodies together.
MAX_HELD_BYTES = 256 * 1024 * 1024

Message = Mapping[str, Any]


class Receive(Protocol):
    def __call__(self) -> Awaitable[Any]: ...


class Send(Protocol):
    def __call__(self, message: Any) -> Awaitable[None]: ...


class _ClientGoneError(Exception):
    """The client disconnected before its request was complete."""


class _RefusedError(Exception):
    """The gateway refuses the request."""

    def __init__(
        self, own: GatewayError, *, close: bool = False, retry_after_seconds: int | None = None
    ) -> None:
        self.response = own.answer(close=close, retry_after_seconds=retry_after_seconds)
        super().__init__(own.name)


def _starting() -> _RefusedError:
    """For a request that came while an environment started, which took too long."""
    return _RefusedError(GatewayError.UNAVAILABLE, retry_after_seconds=STARTING_RETRY_AFTER_SECONDS)


@dataclass(eq=False)
class _RequestLog:
    """Fields of the request's log line."""

    route: str | None = None
    function: str | None = None
    invocation: str | None = None
    reason: str | None = None
    held_bytes: int = 0


@dataclass(frozen=True)
class Cors:
    """The web origins whose pages may read a function's responses, and the headers they may read.

    API Gateway's own errors lack these headers unless the whole API is configured for them, so that
    a page cannot tell a 401 from an outage.
    """

    origins: tuple[str, ...]
    expose_headers: tuple[str, ...]


@dataclass(frozen=True)
class GatewayContext:
    """What all requests share. `invoked` is the function behind the Invoke API, if any; `cors` is
    by function; `streams` serves EVENTS_ROUTE, if that is among the routes."""

    api: Api
    router: Router
    pools: Mapping[str, Pool]
    authorizer: Authorizer | None = None
    throttle: Throttle | None = None
    invoked: Pool | None = None
    cors: Mapping[str, Cors] = field(default_factory=dict)
    streams: EventStreams | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)


class Application:
    """The ASGI application. For one event loop."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._health = Health(context.pools.values())
        self._held_bytes = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        request = _request(scope)
        entry = _RequestLog()
        try:
            answer = await self._answer(request, scope, receive, entry)
        except _ClientGoneError:
            _log(request, entry, None, began)
            return
        except _RefusedError as refusal:
            answer = refusal.response
        except Exception:  # noqa: BLE001  a defect costs this request only
            output.logger().error("request_failed", request_id=request.id, exc_info=True)
            answer = GatewayError.INTERNAL_ERROR.answer(close=True)
        finally:
            self._held_bytes -= entry.held_bytes
        if answer.own:
            self._allow_page(request, entry, answer)
        if _ambiguous_length(scope):
            answer = replace(answer, close=True)
        _log(request, entry, answer.status, began)
        await _send(receive, send, request, answer)

    async def _answer(
        self, request: Request, scope: Any, receive: Receive, entry: _RequestLog
    ) -> Response:
        raw_path = _path(scope["raw_path"])
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            return await self._refuse(GatewayError.HEADERS_TOO_LARGE, scope, receive)
        if raw_path == HEALTH_PATH.encode() and request.method in ("GET", "HEAD"):
            await self._body(scope, receive)
            draining = self._context.draining.is_set()
            return responses.json_answer(200, self._health.document(draining=draining))
        if raw_path == METRICS_PATH.encode() and request.method in ("GET", "HEAD"):
            await self._body(scope, receive)
            headers = [(b"content-type", metrics.CONTENT_TYPE.encode())]
            return Response(200, headers, self._metrics().encode())
        if (
            self._context.invoked is not None
            and request.method == "POST"
            and raw_path == invoke_api.PATH.encode()
        ):
            return await self._invoke(self._context.invoked, request, scope, receive, entry)
        try:
            match = self._context.router.match(request.method, decode(raw_path))
        except BadPathError:
            return await self._refuse(GatewayError.BAD_REQUEST, scope, receive)
        if match is None:
            return await self._refuse(GatewayError.NOT_FOUND, scope, receive)
        entry.route, entry.function = match.route.key, match.route.function or None
        if self._context.throttle is not None and not self._context.throttle.allows():
            return await self._refuse(GatewayError.TOO_MANY_REQUESTS, scope, receive)
        identity = request.header(IDENTITY_HEADER)
        # API Gateway does not call the authorizer when the identity source is missing.
        if match.route.authorized and not identity:
            return await self._refuse(GatewayError.UNAUTHORIZED, scope, receive)
        body = await self._body(scope, receive, entry)
        trace = events.trace_header(request)
        context = None
        if match.route.authorized:

            async def authorize() -> Mapping[str, Any]:
                return await self._authorized(request, match, trace, identity, len(body), entry)

            context = await authorize()
            if self._context.streams is not None and match.route is EVENTS_ROUTE:
                return self._context.streams.open(context, authorize)
        event = events.request_event(request, body, match, self._context.api, trace, context)
        if len(event) > MAX_PAYLOAD_BYTES:
            raise _RefusedError(GatewayError.REQUEST_TOO_LARGE)
        return await self._integrate(self._context.pools[match.route.function], event, trace, entry)

    async def _authorized(
        self,
        request: Request,
        match: Match,
        trace: str,
        identity: str,
        length: int,
        entry: _RequestLog,
    ) -> Mapping[str, Any]:
        if self._context.authorizer is None:
            raise RuntimeError(f"{match.route.key} requires an authorizer, but none is configured")
        try:
            decision = await self._context.authorizer.decide(
                identity,
                lambda: events.authorizer_event(
                    request, match, self._context.api, trace, identity, length
                ),
            )
        except AuthorizerStartingError as error:
            entry.reason = f"authorizer: {error}"
            raise _starting() from error
        except AuthorizerError as error:
            entry.reason = f"authorizer: {error}"
            raise _RefusedError(GatewayError.INTERNAL_ERROR) from error
        if not decision.allowed:
            raise _RefusedError(GatewayError.FORBIDDEN)
        return decision.context

    async def _integrate(
        self, pool: Pool, event: bytes, trace: str, entry: _RequestLog
    ) -> Response:
        try:
            # As on AWS the function continues after the response to its client.
            async with asyncio.timeout(INTEGRATION_SECONDS):
                invocation = await pool.invoke(event, events.segment(trace))
        except TimeoutError:
            entry.reason = f"no answer within {INTEGRATION_SECONDS:g} seconds"
            if pool.starting:
                raise _starting() from None
            raise _RefusedError(GatewayError.UNAVAILABLE) from None
        except ThrottledError:
            entry.reason = "throttled: every environment is busy"
            raise _RefusedError(
                GatewayError.UNAVAILABLE, retry_after_seconds=THROTTLED_RETRY_AFTER_SECONDS
            ) from None
        except Stopping:
            entry.reason = "stopping"
            raise _RefusedError(GatewayError.UNAVAILABLE) from None
        except InitTimeoutError as error:
            entry.reason = f"init_failed: {error.error_type}"
            raise _starting() from None
        except InitError as error:
            entry.reason = f"init_failed: {error.error_type}"
            raise _RefusedError(GatewayError.INTERNAL_ERROR) from None
        entry.invocation = invocation.request_id
        if invocation.outcome is Outcome.STOPPED:
            entry.reason = "stopping"
            raise _RefusedError(GatewayError.UNAVAILABLE)
        if invocation.outcome is not Outcome.SUCCESS:
            entry.reason = f"{invocation.outcome.value}: {invocation.error_type}"
            raise _RefusedError(GatewayError.INTERNAL_ERROR)
        try:
            answer = responses.of_function(invocation.payload)
        except MalformedResponseError as error:
            entry.reason = f"malformed answer: {error}"
            raise _RefusedError(GatewayError.INTERNAL_ERROR) from error
        self._health.note(pool.function.name, answer.status)
        return answer

    async def _invoke(
        self, pool: Pool, request: Request, scope: Any, receive: Receive, entry: _RequestLog
    ) -> Response:
        entry.route, entry.function = f"POST {invoke_api.PATH}", pool.function.name
        body = await self._body(scope, receive, entry)
        invocation_type = request.header("x-amz-invocation-type")
        trace = events.segment(events.trace_header(request))
        return await invoke_api.serve(pool, body, invocation_type, trace)

    async def _refuse(self, own: GatewayError, scope: Any, receive: Receive) -> Response:
        """The gateway's own answer, with the connection in order for the next request."""
        if _expects_continue(scope):
            return own.answer(close=True)
        await self._body(scope, receive)
        return own.answer()

    async def _body(self, scope: Any, receive: Receive, entry: _RequestLog | None = None) -> bytes:
        """The request's body; read and dropped without `entry`. Raises _RefusedError."""
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if int(declared) > MAX_BODY_BYTES and _expects_continue(scope):
            raise _RefusedError(GatewayError.REQUEST_TOO_LARGE, close=True)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _ClientGoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > MAX_BODY_BYTES:
                        self._release(chunks, entry)
                        if size > DISCARDED_BYTES:
                            raise _RefusedError(GatewayError.REQUEST_TOO_LARGE, close=True)
                    elif chunk and entry is not None:
                        self._hold(chunk, entry)
                        chunks.append(chunk)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise _RefusedError(GatewayError.REQUEST_TIMEOUT, close=True) from None
        if size > MAX_BODY_BYTES:
            raise _RefusedError(GatewayError.REQUEST_TOO_LARGE)
        return b"".join(chunks)

    def _hold(self, chunk: bytes, entry: _RequestLog) -> None:
        if self._held_bytes + len(chunk) > MAX_HELD_BYTES:
            entry.reason = f"more than {MAX_HELD_BYTES} bytes in requests"
            raise _RefusedError(GatewayError.UNAVAILABLE, close=True)
        self._held_bytes += len(chunk)
        entry.held_bytes += len(chunk)

    def _release(self, chunks: list[bytes], entry: _RequestLog | None) -> None:
        chunks.clear()
        if entry is not None:
            self._held_bytes -= entry.held_bytes
            entry.held_bytes = 0

    def _allow_page(self, request: Request, entry: _RequestLog, answer: Response) -> None:
        """Lets pages of allowed origins read the gateway's own errors."""
        cors = self._context.cors.get(entry.function or "")
        if cors is None or not cors.origins:
            return
        answer.headers.append((b"vary", b"origin"))
        origin = request.header("origin")
        if origin in cors.origins:
            answer.headers.append((b"access-control-allow-origin", origin.encode()))
            if cors.expose_headers:
                exposed = ", ".join(cors.expose_headers).encode()
                answer.headers.append((b"access-control-expose-headers", exposed))

    def _metrics(self) -> str:
        pools = self._context.pools.values()
        healthy = not any(pool.failing for pool in pools)
        return metrics.exposition([pool.status for pool in pools], healthy=healthy)


def _request(scope: Any) -> Request:
    client, server = scope.get("client"), scope.get("server")
    # No standard defines header bytes beyond ASCII; Latin-1 keeps all of them.
    headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"])
    try:
        path = "/" + "/".join(decode(_path(scope["raw_path"])))
    except BadPathError:
        path = ""
    return Request(
        id=events.new_request_id(),
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        protocol=f"HTTP/{scope['http_version']}",
        source_ip=client[0] if client else "",
        port=(server[1] if server else None) or 80,
        received_at=time.time(),
    )


def _path(target: bytes) -> bytes:
    """The path of a request target, which may be absolute: `http://host/path`."""
    if target.startswith(b"/"):
        return target
    _, scheme, rest = target.partition(b"://")
    return b"/" + rest.partition(b"/")[2] if scheme else target


def _head_bytes(scope: Any) -> int:
    """As API Gateway counts: the request line and the values of the headers."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"]) + 11
    return line + sum(len(value) for _, value in scope["headers"])


def _expects_continue(scope: Any) -> bool:
    return any(k == b"expect" and v.lower() == b"100-continue" for k, v in scope["headers"])


def _ambiguous_length(scope: Any) -> bool:
    """Whether the request has both Content-Length and Transfer-Encoding.

    A proxy may have taken the other one for the end of the request, so the connection must not be
    reused: RFC 9112 section 6.1.
    """
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


async def _send(receive: Receive, send: Send, request: Request, answer: Response) -> None:
    headers = [*answer.headers, (b"apigw-requestid", request.id.encode())]
    if answer.stream is not None:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await answer.stream(receive, send)
        return
    if not responses.has_no_body(answer.status):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if answer.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    # The server itself leaves the body of an answer to HEAD away.
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _log(request: Request, entry: _RequestLog, status: int | None, began: float) -> None:
    fields: dict[str, Any] = {
        "event": "request",
        "method": request.method,
        "route": entry.route,
        "status": status,
        "duration_ms": round((time.monotonic() - began) * 1000, 2),
        "request_id": request.id,
    }
    if entry.function is not None:
        fields["function"] = entry.function
    if entry.invocation is not None:
        fields["invocation_id"] = entry.invocation
    if status is None:
        fields["reason"] = "the client disconnected"
    elif entry.reason is not None:
        fields["reason"] = entry.reason
    output.write_json(**fields)
