"""Calls an endpoint once."""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from services.platform import deadline
from services.platform.errors import TransientError
from services.webhooks.addresses import (
    AddressPolicy,
    HostUnknownError,
    Target,
    UrlRefusedError,
)

# Of the whole call. A function that makes one needs a longer timeout.
TIMEOUT_SECONDS = 10.0
CONNECT_SECONDS = 3.0
RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
USER_AGENT = "Darkroom-Webhooks/1"
_GONE = 410


class DeliveryError(TransientError):
    """The endpoint did not accept the event. The message holds neither its URL nor its answer.

    `status` is that of the response, None without one. `retry_after` is how long the endpoint asks
    to wait, in seconds.
    """

    def __init__(
        self, reason: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(reason)

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants no more events."""
        return self.status == _GONE


@functools.cache
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True)
class Caller:
    """Calls endpoints over connections that are pinned to the checked address. Follows no redirect,
    and reads no more of a response than its head."""

    policy: AddressPolicy
    timeout_seconds: float = TIMEOUT_SECONDS
    tls: Callable[[], ssl.SSLContext] = _default_context
    clock: Callable[[], float] = time.time

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Sends `body`, JSON, and returns the response's status, which is 2xx. Raises DeliveryError
        for any other outcome."""
        try:
            target = self.policy.target(url)
        except (HostUnknownError, UrlRefusedError) as error:
            raise DeliveryError(str(error)) from None
        timeout = min(self.timeout_seconds, deadline.seconds_left())
        if timeout <= 0:
            raise DeliveryError("no time left in the invocation")
        ends_at = time.monotonic() + timeout
        try:
            status, retry_after = self._exchange(target, headers, body, ends_at)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= ends_at:
                raise DeliveryError(f"no response within {timeout:g} s") from None
            raise DeliveryError(_describe(error)) from None
        if 200 <= status < 300:
            return status
        raise DeliveryError(f"status {status}", status, self._seconds(retry_after))

    def _exchange(
        self, target: Target, headers: Mapping[str, str], body: bytes, ends_at: float
    ) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(target.host, target.port)
        connected = _connect(target, ends_at)
        secured: ssl.SSLSocket | None = None
        if target.is_tls:
            connected = secured = self.tls().wrap_socket(
                connected, server_hostname=target.host, do_handshake_on_connect=False
            )
        connection.sock = connected
        # A timeout of the socket is that of one read; a slow sender could extend it for ever.
        watchdog = threading.Timer(max(0.0, ends_at - time.monotonic()), _shut_down, [connected])
        watchdog.daemon = True
        watchdog.start()
        try:
            if secured is not None:
                secured.do_handshake()
            connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
            sent = {
                "host": target.host_header,
                "user-agent": USER_AGENT,
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
                **headers,
            }
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            with connection.getresponse() as response:
                if time.monotonic() >= ends_at:
                    # The watchdog cut the head off.
                    raise TimeoutError
                return response.status, response.headers.get("retry-after")
        finally:
            watchdog.cancel()
            connection.close()

    def _seconds(self, retry_after: str | None) -> float | None:
        """Seconds of a Retry-After, a number or a date: RFC 9110 section 10.2.3."""
        if retry_after is None:
            return None
        text = retry_after.strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), RETRY_AFTER_SECONDS_MAX)
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        return min(max(0.0, until.timestamp() - self.clock()), RETRY_AFTER_SECONDS_MAX)


def _connect(target: Target, ends_at: float) -> socket.socket:
    """A connection to the first address that accepts one. Raises OSError."""
    failure: OSError = OSError("no address")
    for address in target.addresses:
        left = min(CONNECT_SECONDS, ends_at - time.monotonic())
        if left <= 0:
            break
        try:
            connected = socket.create_connection((address, target.port), timeout=left)
        except OSError as error:
            failure = error
            continue
        # Otherwise the body waits for the acknowledgement of the head.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(max(0.1, ends_at - time.monotonic()))
        return connected
    raise failure


def _shut_down(connected: socket.socket) -> None:
    # Not SSLSocket's own method: it also drops the state that a read in another thread uses.
    with contextlib.suppress(OSError):  # it is closed already
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"the connection failed: {type(error).__name__}"
