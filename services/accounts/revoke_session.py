"""DELETE /sessions/{id}: closes one of the signed-in user's sessions."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api
from services.accounts.sessions import SessionStore
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class RevokeSession:
    """Closes a session of the request's user, such as that of a lost device."""

    sessions: SessionStore

    def handle(self, request: Request) -> Response:
        """Closes the session. Raises HttpProblem 404 when the user has no open session with this
        id, whether or not another user has one."""
        parameters: api.SessionPath = request.parameters
        session = self.sessions.find_public(request.caller.user_id, parameters.id)
        if session is None:
            raise HttpProblem(api.SESSION_NOT_FOUND, "Your account has no open session of this id.")
        self.sessions.close(session.id)
        log.logger().info("session_revoked")
        return Response(204)
