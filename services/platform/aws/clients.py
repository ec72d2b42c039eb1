"""AWS clients: one of each service per execution environment, with bounded timeouts and retries.

They come from botocore: boto3's session adds nothing to a low-level client and 60 ms of CPU to a
cold start. Creating a client makes no call; endpoint, region and credentials come from the SDK's
environment variables, so the same code works with AWS and with an emulator.

No call outlasts the invocation: close to its end an attempt gets a shorter timeout, and then none
is made. The caller sees an unavailable service and has time to say so.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

import botocore.session
from botocore.config import Config

from services.platform import deadline, tracing
from services.platform.errors import TransientError

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 15
# Three attempts cover a dropped connection; after a longer outage the queue retries.
ATTEMPTS = 3
# botocore pauses at most this long before the second and the third attempt.
RETRY_PAUSE_SECONDS = 2.0
HTTP_SERVER_ERROR = 500
# Timeouts of attempts close to the invocation's end: each length has its own connections.
SHORT_TIMEOUTS_SECONDS = (8.0, 4.0, 2.0, 1.0, 0.5)


@functools.cache
def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """The client of `service` ("s3", "dynamodb", ...) in this process. `attempts` includes the
    first one: 1 for calls that must not be repeated."""
    made = session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # By default botocore signs links and forms by its oldest method, which new regions
            # refuse.
            signature_version="s3v4" if service == "s3" else None,
            # Buckets are addressed in the path, so that an emulator's host name needs no wildcard.
            s3={"addressing_style": "path"} if service == "s3" else None,
        ),
    )
    made.meta.events.register("before-send", _send_in_time)
    made.meta.events.register_first("needs-retry", _retry_in_time)
    tracing.trace_client(made)
    return made


def _send_in_time(request: Any, **_: Any) -> Any:
    """Sends the request with a shorter timeout when the invocation ends before the usual one.

    A handler of botocore's event `before-send`: None has botocore send the request. Raises
    ConnectTimeoutError, for a request that is certainly not sent, when no time is left.
    """
    left = deadline.seconds_left()
    if left >= READ_TIMEOUT_SECONDS:
        return None
    timeout = next((seconds for seconds in SHORT_TIMEOUTS_SECONDS if seconds <= left), None)
    if timeout is None:
        from botocore.exceptions import ConnectTimeoutError

        raise ConnectTimeoutError(endpoint_url=request.url, error="no time left in the invocation")
    return _http_session(timeout).send(request)


def _retry_in_time(response: Any, caught_exception: Exception | None, **_: Any) -> None:
    """Ends a call instead of a retry whose pause would outlast the invocation.

    A handler of botocore's event `needs-retry`.
    """
    if deadline.seconds_left() >= RETRY_PAUSE_SECONDS:
        return
    if caught_exception is not None:
        raise caught_exception
    status = response[1].get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= HTTP_SERVER_ERROR:
        raise TransientError(f"status {status}, and no time left in the invocation for a retry")


@functools.cache
def _http_session(timeout_seconds: float) -> Any:
    from botocore.httpsession import URLLib3Session

    connect_seconds = min(CONNECT_TIMEOUT_SECONDS, timeout_seconds)
    return URLLib3Session(
        verify=session().get_config_variable("ca_bundle") or True,
        timeout=(connect_seconds, timeout_seconds),
        # As botocore's own session has it: head and body are two packets, and without it the second
        # waits up to 40 ms for the acknowledgement of the first.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )


@functools.cache
def session() -> botocore.session.Session:
    return botocore.session.get_session()


def error_code(error: Exception) -> str:
    """The service's code of a botocore ClientError ("NoSuchKey", "404", ...)."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
