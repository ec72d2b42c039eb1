"""GET /sessions: lists the signed-in user's sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.accounts import api
from services.accounts.sessions import Session, SessionStore
from services.platform import cursor
from services.platform.functions.http import Request, Response
from services.platform.timestamps import format_epoch, format_utc


@dataclass(frozen=True)
class ListSessions:
    """Lists the open sessions of the request's user, newest first."""

    sessions: SessionStore

    def handle(self, request: Request) -> Response:
        """Returns one page. Raises HttpProblem 400 for a cursor of another list."""
        parameters: api.SessionPageParameters = request.parameters
        before = None
        if parameters.cursor is not None:
            (before,) = cursor.decode(parameters.cursor, 1)
        found = self.sessions.newest(request.caller.user_id, parameters.limit + 1, before)
        page = cursor.page(found, parameters.limit, lambda last: cursor.encode([last.created_at]))
        current = request.caller.session_id
        return Response(
            200,
            api.SessionPage(
                sessions=[_shown(session, current) for session in page.items],
                next_cursor=page.next_cursor,
            ),
        )


def _shown(session: Session, current: str) -> api.UserSession:
    return api.UserSession(
        id=session.public_id,
        created_at=format_utc(datetime.fromisoformat(session.created_at), "seconds"),
        used_at=format_epoch(session.renewed_at),
        expires_at=format_epoch(session.expires_at),
        current=session.id == current,
    )
