"""GET /sessions/current: describes the session of the request."""

from __future__ import annotations

from services.accounts import api
from services.platform.functions.http import Request, Response
from services.platform.timestamps import format_epoch


class GetSession:
    """Describes the session that the authorizer found."""

    def handle(self, request: Request) -> Response:
        """Returns the session's user and expiry."""
        caller = request.caller
        return Response(
            200,
            api.CurrentSession(
                expires_at=format_epoch(caller.session_expires_at),
                user=api.SignedInUser(id=caller.user_id, email=caller.email, role=caller.role),
            ),
        )
