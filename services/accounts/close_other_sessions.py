"""DELETE /sessions: closes the signed-in user's other sessions."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts.sessions import SessionStore
from services.platform import log
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class CloseOtherSessions:
    """Closes every session of the request's user except that of the request."""

    sessions: SessionStore

    def handle(self, request: Request) -> Response:
        """Closes the sessions. Safe to repeat."""
        caller = request.caller
        closed = self.sessions.close_all(caller.user_id, keep=caller.session_id)
        log.logger().info("other_sessions_closed", sessions_closed=closed)
        return Response(204)
