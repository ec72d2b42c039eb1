"""GET /users: lists the accounts, for administrators."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api
from services.accounts.users import Position, Users
from services.platform import cursor
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListUsers:
    """Lists the accounts, newest first."""

    users: Users

    def handle(self, request: Request) -> Response:
        """Returns one page. Raises HttpProblem 400 for a cursor of another list."""
        parameters: api.AccountPageParameters = request.parameters
        after = None
        if parameters.cursor is not None:
            after = Position(*cursor.decode_position(parameters.cursor))
        page = cursor.page(
            self.users.newest(parameters.limit + 1, after),
            parameters.limit,
            lambda user: cursor.encode_position(user.created_at, user.id),
        )
        return Response(
            200,
            api.AccountPage(users=[*map(api.account, page.items)], next_cursor=page.next_cursor),
        )
