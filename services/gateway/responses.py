"""Answers: a function's, read by the rules of payload format 2.0, and the gateway's own.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html#http-api-develop-integrations-lambda.response
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from http import HTTPStatus
from typing import Any

Headers = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The server writes these itself, from what it really sends.
_OWN_HEADERS = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}
)
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class MalformedResponseError(Exception):
    """A function's answer that API Gateway cannot read; the message says why."""


@dataclass(frozen=True)
class Response:
    """A complete HTTP answer. `close` ends the connection after it. With `stream`, that function
    sends the body, by ASGI's `receive` and `send`."""

    status: int
    headers: Headers
    body: bytes
    close: bool = False
    own: bool = field(default=False, compare=False)
    """Made by the gateway, not by a function."""
    stream: Callable[[Any, Any], Awaitable[None]] | None = field(default=None, compare=False)


class GatewayError(Enum):
    """What the gateway answers itself: status and message.

    An HTTP API's own, as observed: a function that fails, times out or answers nonsense is a 500
    (https://github.com/denoland/deno_registry2/issues/87); the integration's 30 seconds and a
    throttled function are a 503 (https://github.com/cortexlabs/cortex/issues/1225,
    https://github.com/anomalyco/sst/issues/2232). 502 and 504, and "Endpoint request timed out",
    are the other kind's, the REST API's.
    """

    BAD_REQUEST = (400, "Bad Request")
    UNAUTHORIZED = (401, "Unauthorized")
    FORBIDDEN = (403, "Forbidden")
    NOT_FOUND = (404, "Not Found")
    REQUEST_TIMEOUT = (408, "Request Timeout")
    REQUEST_TOO_LARGE = (413, "Request Entity Too Large")
    TOO_MANY_REQUESTS = (429, "Too Many Requests")
    HEADERS_TOO_LARGE = (431, "Request Header Fields Too Large")
    INTERNAL_ERROR = (500, "Internal Server Error")
    UNAVAILABLE = (503, "Service Unavailable")

    @property
    def status(self) -> int:
        return self.value[0]

    def answer(self, *, close: bool = False, retry_after_seconds: int | None = None) -> Response:
        response = replace(
            json_answer(self.status, {"message": self.value[1]}, close=close), own=True
        )
        if retry_after_seconds is not None:
            response.headers.append((b"retry-after", str(retry_after_seconds).encode()))
        return response


def json_answer(status: int, document: Any, *, close: bool = False) -> Response:
    """An answer of the gateway's with a JSON body."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(status, [(b"content-type", b"application/json")], body, close)


def of_function(payload: bytes) -> Response:
    """A function's answer as HTTP. Raises MalformedResponseError.

    Without `statusCode` all of it is the body of a 200, as JSON; a text is the body itself.
    `multiValueHeaders` belongs to format 1.0 and is not looked at.
    """
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        raise MalformedResponseError("expected JSON") from None
    if not isinstance(document, dict) or "statusCode" not in document:
        text = document.encode("utf-8", "replace") if isinstance(document, str) else payload
        return Response(HTTPStatus.OK, [(b"content-type", b"application/json")], text)
    status = document["statusCode"]
    if type(status) is not int or not 200 <= status <= 599:
        raise MalformedResponseError(f"expected a statusCode 200..599, got {status!r:.100}")
    body = _body(document.get("body"), document.get("isBase64Encoded"))
    headers = [*_headers(document.get("headers")), *_cookies(document.get("cookies"))]
    if status in _WITHOUT_BODY:
        body = b""
    elif not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain;charset=UTF-8"))
    return Response(status, headers, body)


def has_no_body(status: int) -> bool:
    """Whether HTTP allows no body, and no length of one, for this status."""
    return status in _WITHOUT_BODY


def _headers(value: Any) -> Headers:
    if value is None:
        return []
    if not isinstance(value, Mapping):
        raise MalformedResponseError(f"expected headers to be an object, got {value!r:.100}")
    return [
        (name.lower().encode("ascii"), _value(name, item))
        for name, item in value.items()
        if _checked(name).lower() not in _OWN_HEADERS
    ]


def _cookies(value: Any) -> Headers:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedResponseError(f"expected cookies to be a list of texts, got {value!r:.100}")
    return [(b"set-cookie", _value("cookies", item)) for item in value]


def _checked(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise MalformedResponseError(f"expected a header's name, got {name!r:.100}")
    return name


def _value(name: str, value: Any) -> bytes:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str) or _NOT_IN_A_VALUE.search(value):
        raise MalformedResponseError(f"expected a header's value in one line, got {name!r:.100}")
    text = value.strip(" \t")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _body(value: Any, encoded: Any) -> bytes:
    if encoded is not None and not isinstance(encoded, bool):
        raise MalformedResponseError(
            f"expected isBase64Encoded true or false, got {encoded!r:.100}"
        )
    if value is None:
        return b""
    if not isinstance(value, str):
        raise MalformedResponseError(f"expected the body to be a text, got {type(value).__name__}")
    if not encoded:
        return value.encode("utf-8", "replace")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise MalformedResponseError("expected a body in base64") from None
