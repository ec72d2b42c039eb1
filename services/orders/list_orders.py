"""list-orders: answers GET /orders."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import api
from services.orders.store import Orders, Position
from services.platform import cursor
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListOrders:
    """Lists the caller's orders, newest first."""

    orders: Orders

    def handle(self, request: Request) -> Response:
        """Returns 200 with one page. Raises HttpProblem (400) for a cursor of another list."""
        wanted: api.OrderPageParameters = request.parameters
        before = None
        if wanted.cursor is not None:
            before = Position(*cursor.decode_position(wanted.cursor))
        page = cursor.page(
            self.orders.page(request.caller.user_id, wanted.limit + 1, before),
            wanted.limit,
            lambda order: cursor.encode_position(order.created_at, order.id),
        )
        return Response(
            200,
            api.OrderPage(orders=[*map(api.summary, page.items)], next_cursor=page.next_cursor),
        )
