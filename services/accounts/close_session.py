"""DELETE /sessions/current: signs a user out."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api
from services.accounts.sessions import SessionStore
from services.platform import log
from services.platform.functions.http import Request, Response
from services.platform.token_cookies import SESSION


@dataclass(frozen=True)
class CloseSession:
    """Closes the session of the request, and the user's other sessions if asked."""

    sessions: SessionStore

    def handle(self, request: Request) -> Response:
        """Closes the session. Safe to repeat."""
        parameters: api.CloseParameters = request.parameters
        caller = request.caller
        # The session of the request first: the index of a user's sessions is updated later than
        # the table, so `close_all` could miss it.
        self.sessions.close(caller.session_id)
        others = self.sessions.close_all(caller.user_id) if parameters.all else 0
        log.logger().info("session_closed", others=others)
        # The web page has the token in a cookie.
        return Response(204, cookies=(SESSION.removed(),))
