"""Shows administrators who has an account."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api
from services.accounts.users import Position, Users
from services.platform import cursor
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class Directory:
    users: Users

    def page(self, request: Request) -> Response:
        """Answers GET /users."""
        wanted: api.AccountPageParameters = request.parameters
        after = None if wanted.cursor is None else Position(*cursor.decode_position(wanted.cursor))
        page = self.users.page(wanted.limit, after)
        next_cursor = None
        if page.last is not None:
            next_cursor = cursor.encode([page.last.created_at.isoformat(), page.last.id])
        return Response(
            200,
            api.AccountPage(
                users=[api.account(user) for user in page.users], next_cursor=next_cursor
            ),
        )
