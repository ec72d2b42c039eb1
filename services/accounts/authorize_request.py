"""Finds out who calls the API: the gateway's Lambda authorizer.

It lets every request through and says what it found; the function behind the route refuses, so that
clients get problem documents (services/platform/functions/http.py). That holds for an outage of the
sessions too: `unavailable`, which the function answers with 503 and Retry-After, where an error
would make the gateway say 500. The gateway keeps answers for the manifest's `cache_seconds`, this
one as well: a client that asked during an outage may hear 503 for that long after it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.accounts.sessions import Expired, SessionStore
from services.platform import log
from services.platform.aws.errors import is_transient
from services.platform.functions.sqs import Context, is_warmer

SCHEME = "bearer"


class SessionState(StrEnum):
    """What `session` in the answer's context says. services/platform/functions/http.py reads it; to
    import its enum from there would make the authorizer's cold start longer."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Authorizer:
    """The handler. `event` is of payload format 2.0, and the answer a simple response."""

    sessions: SessionStore

    def __call__(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        log.clear()
        log.bind(
            function=context.function_name,
            request_id=context.aws_request_id,
            api_request_id=event.get("requestContext", {}).get("requestId", ""),
            route=event.get("routeKey", ""),
        )
        found = self._find(_token(event))
        # Never the token, nor the session's id, which is as good as the token's fingerprint.
        log.logger().info(
            "session-looked-up", session=found["session"], user_id=found.get("user_id")
        )
        return {"isAuthorized": True, "context": found}

    def _find(self, token: str | None) -> dict[str, str]:
        if token is None:
            return {"session": SessionState.UNKNOWN.value}
        try:
            session = self.sessions.find(token)
        except Exception as error:
            if not is_transient(error):
                raise
            log.logger().warning("sessions-unavailable", error_type=type(error).__name__)
            return {"session": SessionState.UNAVAILABLE.value}
        if session is None:
            return {"session": SessionState.UNKNOWN.value}
        if isinstance(session, Expired):
            return {"session": SessionState.EXPIRED.value}
        return {
            "session": SessionState.VALID.value,
            "session_id": session.id,
            "user_id": session.user_id,
            "email": session.email,
            "role": session.role,
            "expires_at": str(session.expires_at),
        }


def _token(event: dict[str, Any]) -> str | None:
    """The token of `Authorization: Bearer TOKEN`; None for anything else."""
    source = event.get("identitySource") or [event.get("headers", {}).get("authorization", "")]
    scheme, _, token = str(source[0]).partition(" ")
    return token.strip() if scheme.lower() == SCHEME and token.strip() else None
