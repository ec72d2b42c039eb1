"""Problem documents: the error responses of the HTTP API (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.platform.errors import PermanentError
from services.platform.validation import FieldError

PROBLEM_PREFIX = "urn:darkroom:problem:"
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """A kind of problem: its HTTP status, its name in `type`, and its title."""

    status: int
    slug: str
    title: str


INVALID_REQUEST = Problem(400, "invalid-request", "Invalid request")
NOT_SIGNED_IN = Problem(401, "not-signed-in", "Not signed in")
SESSION_EXPIRED = Problem(401, "session-expired", "Session expired")
NOT_ALLOWED = Problem(403, "not-allowed", "Not allowed")
BODY_TOO_LARGE = Problem(413, "body-too-large", "Request body too large")
UNSUPPORTED_MEDIA_TYPE = Problem(415, "unsupported-media-type", "Unsupported media type")
INTERNAL_ERROR = Problem(500, "internal-error", "Internal error")
UNAVAILABLE = Problem(503, "unavailable", "Service temporarily unavailable")


class HttpProblem(PermanentError):  # noqa: N818  RFC 9457's word
    """Ends a request with a problem document.

    `detail` is text for the client; `errors` names the invalid fields; `headers` are added to the
    response, `members` to the document.
    """

    def __init__(
        self,
        problem: Problem,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, int] | None = None,
    ) -> None:
        self.problem = problem
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        super().__init__(f"{problem.slug}: {detail}")


def problem_response(error: HttpProblem, path: str) -> dict[str, Any]:
    """The response of API Gateway's payload format 2.0 for a request to `path`."""
    document: dict[str, Any] = {
        **error.members,
        "type": PROBLEM_PREFIX + error.problem.slug,
        "title": error.problem.title,
        "status": error.problem.status,
        "detail": error.detail,
        "instance": path,
    }
    if error.errors:
        document["errors"] = [
            {"field": e.field, "code": e.code.value, "expected": e.expected, "got": e.got}
            for e in error.errors
        ]
    return {
        "statusCode": error.problem.status,
        "headers": {
            "content-type": PROBLEM_JSON,
            **{name.lower(): value for name, value in error.headers.items()},
        },
        "body": msgspec.json.encode(document).decode(),
    }
