"""Lambda's Invoke API for one function: served here, and called on another container.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from services.gateway.authorizer import ANSWER_SECONDS, AuthorizerError, AuthorizerStartingError
from services.gateway.pool import Pool, ThrottledError
from services.gateway.responses import Response, json_answer
from services.runtime.execution import InitError, InitTimeoutError, Invocation, Outcome, Stopping
from services.runtime.runtime_api import MAX_PAYLOAD_BYTES

# As the Runtime Interface Emulator, which serves one function too and calls it "function".
PATH = "/2015-03-31/functions/function/invocations"


async def serve(pool: Pool, body: bytes, invocation_type: str, trace: str) -> Response:
    """Answers an Invoke request: RequestResponse or DryRun."""
    if invocation_type not in ("", "RequestResponse", "DryRun"):
        return _refusal(
            400, "InvalidParameterValueException", "expected RequestResponse, or DryRun"
        )
    if len(body) > MAX_PAYLOAD_BYTES:
        return _refusal(413, "RequestTooLargeException", f"expected {MAX_PAYLOAD_BYTES} bytes")
    try:
        json.loads(body or b"{}")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        return _refusal(400, "InvalidRequestContentException", "expected an event in JSON")
    if invocation_type == "DryRun":
        return Response(HTTPStatus.NO_CONTENT, [], b"")
    try:
        invocation = await pool.invoke(body or b"{}", trace)
    except ThrottledError:
        return _refusal(429, "TooManyRequestsException", "Rate Exceeded.")
    except Stopping:
        return _refusal(503, "ServiceException", "the worker stops")
    except InitError as error:
        return _function_error(error.error_type, error.message)
    if invocation.outcome is not Outcome.SUCCESS:
        return _function_error(invocation.error_type, invocation.error_message)
    headers = [(b"content-type", b"application/json"), (b"x-amz-executed-version", b"$LATEST")]
    return Response(HTTPStatus.OK, headers, invocation.payload)


def _function_error(error_type: str, message: str) -> Response:
    answer = json_answer(200, {"errorMessage": message, "errorType": error_type})
    headers = [(b"x-amz-function-error", b"Unhandled"), (b"x-amz-executed-version", b"$LATEST")]
    return Response(answer.status, [*answer.headers, *headers], answer.body)


def _refusal(status: int, error_type: str, message: str) -> Response:
    answer = json_answer(status, {"Type": "User", "message": message})
    return Response(
        status, [*answer.headers, (b"x-amzn-errortype", error_type.encode())], answer.body
    )


async def ask_pool(pool: Pool, event: bytes) -> bytes:
    """An authorizer that runs here. Raises AuthorizerError."""
    try:
        invocation: Invocation = await pool.invoke(event)
    except InitTimeoutError as error:
        raise AuthorizerStartingError(error.message) from error
    except (ThrottledError, InitError, Stopping) as error:
        raise AuthorizerError(f"not invoked: {type(error).__name__}") from error
    if invocation.outcome is not Outcome.SUCCESS:
        raise AuthorizerError(f"{invocation.error_type}: {invocation.error_message}")
    return invocation.payload


def remote(url: str, executor: Executor) -> Callable[[bytes], asyncio.Future[bytes]]:
    """An authorizer in another container, whose base address is `url`."""
    return lambda event: asyncio.get_running_loop().run_in_executor(
        executor, partial(_call, url, event)
    )


def _call(url: str, event: bytes) -> bytes:
    """Invokes. Raises AuthorizerError."""
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(
            "POST",
            address.path.rstrip("/") + PATH,
            body=event,
            headers={"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        body = answer.read(MAX_PAYLOAD_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise AuthorizerError(f"{url} does not answer: {error!r}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK or answer.getheader("X-Amz-Function-Error"):
        raise AuthorizerError(f"{url} answers {answer.status}: {body[:200]!r}")
    return body
