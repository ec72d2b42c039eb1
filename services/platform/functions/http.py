"""Makes the Lambda handler of one HTTP API route from a function of a request.

The handler takes events of API Gateway's payload format 2.0, answers warmers, validates the input,
checks access, and turns errors into problem documents (RFC 9457):

- HttpProblem: its own status. Any other PermanentError is a bug: 500.
- TransientError, or an unavailable AWS service: 503 with Retry-After.
- Any other exception: 500. The traceback is logged and not sent.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.platform import deadline, log, metrics
from services.platform.aws.errors import is_transient
from services.platform.configuration import read, variable
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.access import Access, Caller, Scope, identify
from services.platform.functions.invocation import Context, handler_ready, invocation, is_warmer
from services.platform.functions.problems import BODY_TOO_LARGE as BODY_TOO_LARGE
from services.platform.functions.problems import INTERNAL_ERROR as INTERNAL_ERROR
from services.platform.functions.problems import INVALID_REQUEST as INVALID_REQUEST
from services.platform.functions.problems import NOT_ALLOWED as NOT_ALLOWED
from services.platform.functions.problems import NOT_SIGNED_IN as NOT_SIGNED_IN
from services.platform.functions.problems import PROBLEM_JSON as PROBLEM_JSON
from services.platform.functions.problems import PROBLEM_PREFIX as PROBLEM_PREFIX
from services.platform.functions.problems import SESSION_EXPIRED as SESSION_EXPIRED
from services.platform.functions.problems import UNAVAILABLE as UNAVAILABLE
from services.platform.functions.problems import UNSUPPORTED_MEDIA_TYPE as UNSUPPORTED_MEDIA_TYPE
from services.platform.functions.problems import HttpProblem as HttpProblem
from services.platform.functions.problems import Problem as Problem
from services.platform.functions.problems import problem_response
from services.platform.metrics import Metric
from services.platform.tracing import TRACEPARENT, Kind
from services.platform.validation import FieldError, InvalidInputError, convert, decode_json

# Photos are uploaded to S3 directly; no other body of this API is larger.
BODY_BYTES_MAX = 64 * 1024
RETRY_AFTER_SECONDS = 2
# On every response. Browsers ignore HSTS from plain HTTP, so the local gateway may send it too:
# https://www.rfc-editor.org/rfc/rfc6797#section-8.1
SECURITY_HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}
# For a browser that opens a response as a page, unless the function sends its own.
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
# A browser saves JSON as this file; a problem of a route that answers with a page is shown.
SAVED_AS = 'attachment; filename="api.json"'
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """One response of an operation, for the OpenAPI document. `body` is a Struct, or `dict` for an
    object without a schema; `headers` maps names to descriptions. `is_page`: an HTML page."""

    description: str
    body: type[msgspec.Struct] | type[dict[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_page: bool = False


@dataclass(frozen=True)
class Operation:
    """The input and the responses of a route, checked on every request; the OpenAPI document is
    generated from it. `parameters` are those of path and query together; `request_headers` maps
    the headers that the operation reads to descriptions. `problems` lists only those that
    `all_problems` does not add.
    """

    summary: str
    access: Access
    answers: Mapping[int, Answer]
    body: type[msgspec.Struct] | None = None
    parameters: type[msgspec.Struct] | None = None
    problems: tuple[Problem, ...] = ()
    description: str = ""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    any_parameters: bool = False
    """Accepts any path and query without reading them; excludes `parameters`."""
    scope: Scope | None = None
    """What an API key needs to call it; None: sessions only."""
    name: str = ""
    """The operation's id in the OpenAPI document; the function's name if empty."""
    raw_body: bool = False
    """Passes the JSON body as bytes, so that a signature can be checked; excludes `body`."""

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Every problem that this operation can return."""
        implied = [INTERNAL_ERROR, UNAVAILABLE]
        if self.body is not None:
            implied += [INVALID_REQUEST, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE]
        if self.raw_body:
            implied += [BODY_TOO_LARGE]
        # Unknown parameters are refused.
        if not self.any_parameters:
            implied += [INVALID_REQUEST]
        if self.access is not Access.ANYONE:
            # An API key without the scope is not allowed.
            implied += [NOT_SIGNED_IN, SESSION_EXPIRED, NOT_ALLOWED]
        return tuple(dict.fromkeys([*self.problems, *implied]))


@dataclass(frozen=True)
class Request:
    """A validated request: `body` and `parameters` are of the operation's types (None where
    it has none), header names in lower case, `path` without the query."""

    body: Any
    parameters: Any
    headers: Mapping[str, str]
    path: str
    source_ip: str
    id: str
    raw_body: bytes
    signed_in: Caller | None

    @property
    def caller(self) -> Caller:
        """The signed-in user. Raises PermanentError on a public operation."""
        if self.signed_in is None:
            raise PermanentError("this operation is public: it has no caller")
        return self.signed_in


@dataclass(frozen=True)
class Response:
    """A Struct in `body` is sent as JSON; bytes need a content-type in `headers`. `cookies` are
    values of Set-Cookie."""

    status: int
    body: msgspec.Struct | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True)
class CorsConfiguration:
    """The web origins whose pages may read responses."""

    origins: tuple[str, ...] = variable("CORS_ORIGINS", default=(), help="origins, by commas")
    expose_headers: tuple[str, ...] = variable(
        "CORS_EXPOSE_HEADERS", default=(), help="headers that pages may read, by commas"
    )


Work = Callable[[Request], Response]


def http_function(operation: Operation, work: Work) -> HttpFunction:
    """A Lambda handler that passes the requests of one route to `work`.

    Raises ConfigurationError at once when the environment is wrong, so that initialisation fails.
    """
    function = HttpFunction(operation, work, read(CorsConfiguration, os.environ))
    handler_ready()
    return function


def http_functions(routes: Mapping[str, tuple[Operation, Work]]) -> HttpFunctions:
    """As `http_function`, for a function with several routes, by their keys ("GET /images")."""
    cors = read(CorsConfiguration, os.environ)
    functions = {key: HttpFunction(*declared, cors) for key, declared in routes.items()}
    handler_ready()
    return HttpFunctions(functions)


@dataclass(frozen=True)
class HttpFunctions:
    """The handler of several routes."""

    functions: Mapping[str, HttpFunction]

    def __call__(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        return self.functions[event["routeKey"]](event, context)


@dataclass(frozen=True)
class HttpFunction:
    """The handler. The OpenAPI document is generated from its `operation`."""

    operation: Operation
    work: Work
    cors: CorsConfiguration

    def __call__(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        about = event["requestContext"]
        parent = event.get("headers", {}).get(TRACEPARENT)
        with invocation(
            context,
            Kind.SERVER,
            [parent] if parent else (),
            api_request_id=about.get("requestId", ""),
            route=event.get("routeKey", ""),
        ) as ending:
            answer = self._answer(event, context)
            status = answer["statusCode"]
            ending |= {"status": status, "outcome": "error" if status >= 500 else "success"}
            if status >= 500:
                metrics.record(Metric.FAILED_REQUESTS)
        return answer

    def _answer(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        about = event["requestContext"]
        try:
            with deadline.invocation(context.get_remaining_time_in_millis()):
                response = self.work(_request(event, self.operation))
            answer = _answer(response)
        except Exception as error:  # noqa: BLE001  every error becomes a response here
            problem = _as_problem(error)
            answer = problem_response(problem, event.get("rawPath", ""))
        headers = answer["headers"]
        headers.setdefault("cache-control", "no-store")
        for name, value in PAGE_HEADERS.items():
            headers.setdefault(name, value)
        is_page = any(declared.is_page for declared in self.operation.answers.values())
        if headers.get("content-type") in (JSON, PROBLEM_JSON) and not is_page:
            headers.setdefault("content-disposition", SAVED_AS)
        headers.update(SECURITY_HEADERS)
        headers["x-request-id"] = str(about.get("requestId", context.aws_request_id))
        self._allow_page(headers, event.get("headers", {}).get("origin"))
        return answer

    def _allow_page(self, headers: dict[str, str], origin: str | None) -> None:
        """Adds CORS headers for allowed origins: https://fetch.spec.whatwg.org/#http-cors"""
        if not self.cors.origins:
            return
        headers["vary"] = ", ".join(filter(None, [headers.get("vary"), "origin"]))
        if origin in self.cors.origins:
            headers["access-control-allow-origin"] = str(origin)
            if self.cors.expose_headers:
                headers["access-control-expose-headers"] = ", ".join(self.cors.expose_headers)


def matches_etag(request: Request, etag: str) -> bool:
    """Whether If-None-Match names `etag`, by weak comparison (RFC 9110 section 13.1.2)."""
    wanted = request.headers.get("if-none-match", "")
    plain = etag.removeprefix("W/")
    return wanted.strip() == "*" or plain in (
        tag.strip().removeprefix("W/") for tag in wanted.split(",")
    )


def _request(event: Mapping[str, Any], operation: Operation) -> Request:
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    about = event["requestContext"]
    caller = identify(about, operation.access, operation.scope)
    if caller is not None:
        log.bind(user_id=caller.user_id)
    body = _body(event)
    try:
        parameters = _parameters(event, operation)
        decoded = None if operation.body is None else _decoded(body, headers, operation.body)
    except InvalidInputError as error:
        raise HttpProblem(
            INVALID_REQUEST, "The request has invalid fields; see `errors`.", error.errors
        ) from None
    return Request(
        body=decoded,
        parameters=parameters,
        headers=headers,
        path=event.get("rawPath", ""),
        source_ip=about.get("http", {}).get("sourceIp", ""),
        id=about.get("requestId", ""),
        raw_body=body,
        signed_in=caller,
    )


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    if len(body) > BODY_BYTES_MAX:
        raise HttpProblem(
            BODY_TOO_LARGE, f"Expected at most {BODY_BYTES_MAX} bytes, got {len(body)}."
        )
    return body


def _parameters(event: Mapping[str, Any], operation: Operation) -> msgspec.Struct | None:
    if operation.any_parameters:
        return None
    in_path = event.get("pathParameters") or {}
    in_query = event.get("queryStringParameters") or {}
    errors = [
        FieldError(name, "a value in the path only", "another value in the query")
        for name in in_query
        if name in in_path
    ]
    if errors:
        raise InvalidInputError(errors)
    return convert(in_path | in_query, operation.parameters or _NoParameters, texts=True)


class _NoParameters(msgspec.Struct):
    pass


def _decoded(
    body: bytes, headers: Mapping[str, str], model: type[msgspec.Struct]
) -> msgspec.Struct:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise HttpProblem(
            UNSUPPORTED_MEDIA_TYPE,
            f"Expected a body of content-type {JSON}, got {media_type[:80] or 'none'!r}.",
        )
    return decode_json(body, model)


def _answer(response: Response) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in response.headers.items()}
    answer: dict[str, Any] = {"statusCode": response.status, "headers": headers}
    if response.cookies:
        answer["cookies"] = list(response.cookies)
    if isinstance(response.body, bytes):
        answer |= {"body": base64.b64encode(response.body).decode(), "isBase64Encoded": True}
    elif response.body is not None:
        headers.setdefault("content-type", JSON)
        answer["body"] = msgspec.json.encode(response.body).decode()
    return answer


def _as_problem(error: Exception) -> HttpProblem:
    logger = log.logger()
    if isinstance(error, HttpProblem):
        logger.info("request_rejected", problem=error.problem.slug, reason=error.detail)
        return error
    if isinstance(error, TransientError) or is_transient(error):
        logger.warning("request_failed", error_type=type(error).__name__, reason=str(error))
        return HttpProblem(
            UNAVAILABLE,
            f"Try again in {RETRY_AFTER_SECONDS} seconds.",
            headers={"retry-after": str(RETRY_AFTER_SECONDS)},
        )
    logger.error(
        "request_failed", error_type=type(error).__name__, reason=str(error), exc_info=error
    )
    return HttpProblem(INTERNAL_ERROR, "Internal error; it has been logged.")
