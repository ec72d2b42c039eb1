"""The API's Lambda authorizer: finds the session or the API key of a request.

It authorizes every request and passes the session's state on in the context. The function behind
the route rejects the request, so that clients get problem documents
(services/platform/functions/access.py). When the sessions table is unavailable, the state is
`unavailable` and the function responds 503 with Retry-After; an error here would become a 500.
The gateway caches every response for the manifest's `cache_seconds`, including `unavailable`.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.accounts.api_keys import PREFIX, ApiKeyStore
from services.accounts.model import Role
from services.accounts.sessions import Expired, Session, SessionStore
from services.platform import log
from services.platform.aws.errors import is_transient
from services.platform.functions.invocation import Context, invocation, is_warmer

SCHEME = "bearer"


class SessionState(StrEnum):
    """Values of `session` in the response's context. A copy of the enum in
    services/platform/functions/access.py: importing that module lengthens the cold start."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class AuthorizeRequest:
    """Finds the session, or the API key, of a request's bearer token."""

    sessions: SessionStore
    keys: ApiKeyStore
    administrator_second_factor: bool = False
    """Administrators whose session was opened without a second factor have a customer's rights."""

    def handle(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        """The Lambda handler: takes payload format 2.0 and returns a simple response."""
        if is_warmer(event):
            return {"warm": True}
        with invocation(
            context,
            api_request_id=event.get("requestContext", {}).get("requestId", ""),
            route=event.get("routeKey", ""),
        ):
            found = self._find(_token(event))
            # Log neither the token nor the session's id, which is the token's hash.
            log.logger().info(
                "session_looked_up", session=found["session"], user_id=found.get("user_id")
            )
        return {"isAuthorized": True, "context": found}

    def _find(self, token: str | None) -> dict[str, str]:
        if token is None:
            return {"session": SessionState.UNKNOWN.value}
        try:
            if token.startswith(PREFIX):
                return self._find_key(token)
            session = self.sessions.find(token)
        except Exception as error:
            if not is_transient(error):
                raise
            log.logger().warning("sessions_unavailable", error_type=type(error).__name__)
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
            "name": session.name,
            "role": self._role(session),
            "expires_at": str(session.expires_at),
        }

    def _role(self, session: Session) -> str:
        if self.administrator_second_factor and not session.second_factor:
            return Role.CUSTOMER.value
        return session.role

    def _find_key(self, secret: str) -> dict[str, str]:
        """The context of an API key; its scopes distinguish it from that of a session."""
        key = self.keys.find(secret)
        if key is None:
            return {"session": SessionState.UNKNOWN.value}
        return {
            "session": SessionState.VALID.value,
            "user_id": key.user_id,
            "email": key.email,
            "name": key.user_name,
            "scopes": " ".join(sorted(key.scopes)),
        }


def _token(event: dict[str, Any]) -> str | None:
    """The token of `Authorization: Bearer TOKEN`; None for any other header."""
    source = event.get("identitySource") or [event.get("headers", {}).get("authorization", "")]
    scheme, _, token = str(source[0]).partition(" ")
    return token.strip() if scheme.lower() == SCHEME and token.strip() else None
