"""The wrapper that makes a Lambda handler for one route of the HTTP API out of a function from
request to response.

It takes events of API Gateway's payload format 2.0, answers warmers, decodes and checks what came,
enforces who may call, and turns errors into problem documents (RFC 9457):

- HttpProblem: its own status. Other PermanentErrors are bugs here: 500.
- TransientError, or an AWS service away: 503 with Retry-After.
- Anything else: 500, with the traceback in the log and nothing of it in the answer.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from services.platform import log
from services.platform.aws.errors import is_outage
from services.platform.configuration import read, variable
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Context, is_warmer
from services.platform.validation import FieldError, InvalidInputError, convert, decode_json

# Enough for every body of this API; photos go to storage, not through it.
BODY_BYTES_MAX = 64 * 1024
RETRY_AFTER_SECONDS = 2
PROBLEM_PREFIX = "urn:darkroom:problem:"
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


class Access(StrEnum):
    """Who may call an operation."""

    ANYONE = "anyone"
    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"


class SessionState(StrEnum):
    """What the authorizer found about the token, in its context's `session`."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Problem:
    """A kind of problem: its status, its name in `type`, and its title."""

    status: int
    slug: str
    title: str


INVALID_REQUEST = Problem(400, "invalid-request", "The request is not as expected")
NOT_SIGNED_IN = Problem(401, "not-signed-in", "Nobody is signed in with this token")
SESSION_EXPIRED = Problem(401, "session-expired", "The session is over")
NOT_ALLOWED = Problem(403, "not-allowed", "The account may not do this")
BODY_TOO_LARGE = Problem(413, "body-too-large", "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Problem(415, "unsupported-media-type", "The body's type is not accepted")
INTERNAL_ERROR = Problem(500, "internal-error", "Something went wrong here")
UNAVAILABLE = Problem(503, "unavailable", "A part of the service is away for now")


class HttpProblem(PermanentError):  # noqa: N818  RFC 9457's word
    """Ends a request with a problem document. `detail` is for the client to read."""

    def __init__(
        self,
        problem: Problem,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.problem = problem
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        super().__init__(f"{problem.slug}: {detail}")


@dataclass(frozen=True)
class Caller:
    """Who is signed in. `session_id` is the hash of the session's token; `session_expires_at`
    seconds since the epoch."""

    user_id: str
    email: str
    role: str
    session_id: str
    session_expires_at: int


@dataclass(frozen=True)
class Answer:
    """One answer of an operation, for the API's description. `body` is a Struct, or `dict` for an
    object of any form; `headers`: name to meaning."""

    description: str
    body: type[msgspec.Struct] | type[dict[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What a route takes and answers: checked on every request, and the source of the API's
    description. `parameters` are those of path and query together; `request_headers` those that
    mean something to the operation, name to meaning. Problems that every such operation can end in
    (wrong input, not signed in, outages) need not be named.
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
    """Takes whatever the URL holds, unread; in place of `parameters`."""
    raw_body: bool = False
    """Takes a JSON body of any form as bytes, for whoever signed them; in place of `body`."""

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Every problem that this operation can end in."""
        implied = [INTERNAL_ERROR, UNAVAILABLE]
        if self.body is not None:
            implied += [INVALID_REQUEST, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE]
        if self.raw_body:
            implied += [BODY_TOO_LARGE]
        # Unknown parameters are refused.
        if not self.any_parameters:
            implied += [INVALID_REQUEST]
        if self.access is not Access.ANYONE:
            implied += [NOT_SIGNED_IN, SESSION_EXPIRED]
        if self.access is Access.ADMINISTRATOR:
            implied += [NOT_ALLOWED]
        return tuple(dict.fromkeys([*self.problems, *implied]))


@dataclass(frozen=True)
class Request:
    """A request that was checked: `body` and `parameters` are of the operation's types (None where
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
        """Who calls; only on routes that ask for a session."""
        if self.signed_in is None:
            raise PermanentError("expected a route that asks for a session, got an open one")
        return self.signed_in


@dataclass(frozen=True)
class Response:
    """`body` is written as JSON, bytes as they are (with their own content-type header)."""

    status: int
    body: msgspec.Struct | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CorsConfiguration:
    """Which web pages may read the answers; set by whoever runs the function, by its manifest."""

    origins: tuple[str, ...] = variable("CORS_ORIGINS", default=(), help="origins, by commas")
    expose_headers: tuple[str, ...] = variable(
        "CORS_EXPOSE_HEADERS", default=(), help="headers that pages may read, by commas"
    )


Work = Callable[[Request], Response]


def http_function(operation: Operation, work: Work) -> HttpFunction:
    """A Lambda handler that answers the requests of one route with `work`.

    Raises ConfigurationError at once when the environment is wrong, so that initialisation fails.
    """
    log.configure()
    return HttpFunction(operation, work, read(CorsConfiguration, os.environ))


@dataclass(frozen=True)
class HttpFunction:
    """The handler; it can tell its operation, from which the API's description is made."""

    operation: Operation
    work: Work
    cors: CorsConfiguration

    def __call__(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        started = time.monotonic()
        about = event["requestContext"]
        log.clear()
        log.bind(
            function=context.function_name,
            request_id=context.aws_request_id,
            api_request_id=about.get("requestId", ""),
            route=event.get("routeKey", ""),
        )
        try:
            response = self.work(_request(event, self.operation))
            answer = _answer(response)
        except Exception as error:  # noqa: BLE001  the map from errors to answers is here
            problem = _as_problem(error)
            answer = _problem_answer(problem, event.get("rawPath", ""))
        headers = answer["headers"]
        headers.setdefault("cache-control", "no-store")
        headers["x-request-id"] = str(about.get("requestId", context.aws_request_id))
        self._allow_page(headers, event.get("headers", {}).get("origin"))
        log.logger().info(
            "request-answered",
            status=answer["statusCode"],
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return answer

    def _allow_page(self, headers: dict[str, str], origin: str | None) -> None:
        """Lets a page of a named site read the answer: https://fetch.spec.whatwg.org/#http-cors"""
        if not self.cors.origins:
            return
        headers["vary"] = ", ".join(filter(None, [headers.get("vary"), "origin"]))
        if origin in self.cors.origins:
            headers["access-control-allow-origin"] = str(origin)
            if self.cors.expose_headers:
                headers["access-control-expose-headers"] = ", ".join(self.cors.expose_headers)


def matches_etag(request: Request, etag: str) -> bool:
    """Whether the client has this version already (If-None-Match, compared weakly as RFC 9110
    section 13.1.2 wants it)."""
    wanted = request.headers.get("if-none-match", "")
    plain = etag.removeprefix("W/")
    return wanted.strip() == "*" or plain in (
        tag.strip().removeprefix("W/") for tag in wanted.split(",")
    )


def _request(event: Mapping[str, Any], operation: Operation) -> Request:
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    about = event["requestContext"]
    caller = _caller(about, operation.access)
    if caller is not None:
        log.bind(user_id=caller.user_id)
    body = _body(event)
    try:
        parameters = _parameters(event, operation)
        decoded = None if operation.body is None else _decoded(body, headers, operation.body)
    except InvalidInputError as error:
        raise HttpProblem(
            INVALID_REQUEST, "The request has mistakes; `errors` names each.", error.errors
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


def _caller(about: Mapping[str, Any], access: Access) -> Caller | None:
    if access is Access.ANYONE:
        return None
    found = about.get("authorizer", {}).get("lambda", {})
    state = found.get("session")
    if state == SessionState.UNAVAILABLE:
        raise TransientError("the sessions cannot be read")
    challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
    # The authorizer's answer may have been kept for longer than the session lasts.
    if state == SessionState.EXPIRED or (
        state == SessionState.VALID and float(found["expires_at"]) <= time.time()
    ):
        raise HttpProblem(SESSION_EXPIRED, "Sign in again: POST /sessions.", headers=challenge)
    if state != SessionState.VALID:
        raise HttpProblem(
            NOT_SIGNED_IN,
            "Expected the token of an open session in `Authorization: Bearer TOKEN`; sign in with "
            "POST /sessions.",
            headers=challenge,
        )
    caller = Caller(
        found["user_id"],
        found["email"],
        found["role"],
        found["session_id"],
        int(float(found["expires_at"])),
    )
    if access is Access.ADMINISTRATOR and caller.role != Access.ADMINISTRATOR:
        raise HttpProblem(NOT_ALLOWED, "Expected an administrator's account.")
    return caller


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
        FieldError(name, "the path to name it", "the query names it as well")
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
    if isinstance(response.body, bytes):
        answer |= {"body": base64.b64encode(response.body).decode(), "isBase64Encoded": True}
    elif response.body is not None:
        headers.setdefault("content-type", JSON)
        answer["body"] = msgspec.json.encode(response.body).decode()
    return answer


def _as_problem(error: Exception) -> HttpProblem:
    logger = log.logger()
    if isinstance(error, HttpProblem):
        logger.info("request-refused", problem=error.problem.slug, reason=error.detail)
        return error
    if isinstance(error, TransientError) or is_outage(error):
        logger.warning("request-failed", error_type=type(error).__name__, reason=str(error))
        return HttpProblem(
            UNAVAILABLE,
            f"Try again in {RETRY_AFTER_SECONDS} seconds.",
            headers={"retry-after": str(RETRY_AFTER_SECONDS)},
        )
    logger.error(
        "request-failed", error_type=type(error).__name__, reason=str(error), exc_info=error
    )
    return HttpProblem(INTERNAL_ERROR, "The mistake is on this side, and was noted.")


def _problem_answer(error: HttpProblem, path: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": PROBLEM_PREFIX + error.problem.slug,
        "title": error.problem.title,
        "status": error.problem.status,
        "detail": error.detail,
        "instance": path,
    }
    if error.errors:
        document["errors"] = [
            {"field": e.field, "expected": e.expected, "got": e.got} for e in error.errors
        ]
    return {
        "statusCode": error.problem.status,
        "headers": {
            "content-type": PROBLEM_JSON,
            **{name.lower(): value for name, value in error.headers.items()},
        },
        "body": msgspec.json.encode(document).decode(),
    }
