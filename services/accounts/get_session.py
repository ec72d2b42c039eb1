"""Tells who is signed in, and signs out."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api
from services.accounts.sessions import SessionStore
from services.platform import log
from services.platform.functions.http import Request, Response


def show(request: Request) -> Response:
    """Answers GET /sessions/current, from what the authorizer found."""
    caller = request.caller
    return Response(
        200,
        api.CurrentSession(
            expires_at=api.timestamp(caller.session_expires_at),
            user=api.SignedInUser(id=caller.user_id, email=caller.email, role=caller.role),
        ),
    )


@dataclass(frozen=True)
class SignOut:
    sessions: SessionStore

    def close(self, request: Request) -> Response:
        """Answers DELETE /sessions/current."""
        wanted: api.CloseParameters = request.parameters
        caller = request.caller
        # Its own one first: the index that knows the others is a moment behind.
        self.sessions.close(caller.session_id)
        others = self.sessions.close_all(caller.user_id) if wanted.all else 0
        log.logger().info("session-closed", others=others)
        return Response(204)
