"""Events of payload format 2.0: what a function gets of a request, and what the authorizer gets.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from services.gateway.routes import Match

STAGE = "$default"
# What is between one client and one server, and not part of the request.
_HOP_BY_HOP = frozenset(
    {
        "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# AWS's guide does not list them. Observed on AWS: these are text, and everything else, a missing
# content type and form data among it, comes in base64.
# https://github.com/ministackorg/ministack/pull/766
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
_TRACE_ROOT = re.compile(r"(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Api:
    """Whose API it is: what stands in events and ARNs."""

    account_id: str
    region: str
    api_id: str


@dataclass(frozen=True)
class Request:
    """A request as it came. Header names are lower-case; `received_at` is a time of `time.time`."""

    id: str
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    protocol: str
    source_ip: str
    port: int
    received_at: float

    def header(self, name: str) -> str:
        """A header's values joined by commas; empty when there is none."""
        return ",".join(value for key, value in self.headers if key == name)


def new_request_id() -> str:
    """Like API Gateway's own: 15 characters and an equals sign."""
    return base64.urlsafe_b64encode(os.urandom(11)).decode("ascii")


def trace_header(request: Request) -> str:
    """The request's X-Ray trace: the client's root where it sent one, else a new one."""
    sent = _TRACE_ROOT.search(request.header("x-amzn-trace-id"))
    root = sent[1] if sent else f"1-{int(request.received_at):08x}-{os.urandom(12).hex()}"
    return f"Root={root}"


def segment(trace: str) -> str:
    """The trace as the function's runtime wants it: with a parent, and sampled."""
    return f"{trace};Parent={os.urandom(8).hex()};Sampled=1"


def request_event(
    request: Request,
    body: bytes,
    match: Match,
    api: Api,
    trace: str,
    context: Mapping[str, Any] | None,
) -> bytes:
    """The function's event, JSON. `context` is what the authorizer found, None without one."""
    document = _common(request, match, api, trace, len(body))
    if context is not None:
        document["requestContext"]["authorizer"] = {"lambda": context}
    text, encoded = _body(body, request.header("content-type"))
    if text is not None:
        document["body"] = text
    document["isBase64Encoded"] = encoded
    return _json(document)


def authorizer_event(
    request: Request, match: Match, api: Api, trace: str, identity: str, length: int
) -> bytes:
    """The authorizer's event, JSON. `length` is the body's, which an authorizer does not see."""
    path = request.path.lstrip("/")
    document = _common(request, match, api, trace, length)
    return _json(
        {
            "type": "REQUEST",
            "routeArn": f"arn:aws:execute-api:{api.region}:{api.account_id}:{api.api_id}"
            f"/{STAGE}/{request.method}/{path}",
            "identitySource": [identity],
            **document,
        }
    )


def _common(request: Request, match: Match, api: Api, trace: str, length: int) -> dict[str, Any]:
    """Fields that have nothing to say are left out, as API Gateway does."""
    headers, cookies = _headers(request, trace, length)
    document: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": request.path,
        "rawQueryString": request.query,
    }
    if cookies:
        document["cookies"] = cookies
    document["headers"] = headers
    if query := _joined(
        parse_qsl(request.query, keep_blank_values=True, encoding="utf-8", errors="replace")
    ):
        document["queryStringParameters"] = query
    host = _host(headers.get("host", ""))
    document["requestContext"] = {
        "accountId": api.account_id,
        "apiId": api.api_id,
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.id,
        "routeKey": match.route.key,
        "stage": STAGE,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(request.received_at)),
        "timeEpoch": int(request.received_at * 1000),
    }
    if match.parameters:
        document["pathParameters"] = dict(match.parameters)
    return document


def _headers(request: Request, trace: str, length: int) -> tuple[dict[str, str], list[str]]:
    """What a function sees of the headers, and the cookies apart from them."""
    kept = [(name, value) for name, value in request.headers if name not in _HOP_BY_HOP]
    cookies = [
        cookie.strip()
        for name, value in kept
        if name == "cookie"
        for cookie in value.split(";")
        if cookie.strip()
    ]
    forwarded = request.header("x-forwarded-for")
    headers = _joined(item for item in kept if item[0] != "cookie")
    headers["content-length"] = str(length)
    headers["x-amzn-trace-id"] = trace
    # The client's own words first; only the last address is ours to vouch for.
    headers["x-forwarded-for"] = ", ".join(filter(None, [forwarded, request.source_ip]))
    headers["x-forwarded-port"] = str(request.port)
    headers["x-forwarded-proto"] = "http"
    return headers, cookies


def _joined(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in items:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _body(body: bytes, content_type: str) -> tuple[str | None, bool]:
    if not body:
        return None, False
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in _TEXT_TYPES:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # nothing is lost in base64
    return base64.b64encode(body).decode("ascii"), True


def _host(header: str) -> str:
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    return name.lower() if _HOST.fullmatch(name) else "localhost"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
