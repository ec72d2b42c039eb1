"""list-lab-orders: answers GET /operations/orders."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import console_api as api
from services.orders.model import Order, OrderStatus
from services.orders.store import Orders, Position
from services.platform import cursor
from services.platform.functions.http import Request, Response
from services.platform.timestamps import format_utc


@dataclass(frozen=True)
class ListLabOrders:
    """Lists the orders of all customers, newest first."""

    orders: Orders

    def handle(self, request: Request) -> Response:
        """Returns 200 with one page. Raises HttpProblem (400) for a cursor of another list."""
        wanted: api.LabOrderParameters = request.parameters
        before = None
        if wanted.cursor is not None:
            before = Position(*cursor.decode_position(wanted.cursor))
        status = None if wanted.status == api.ANY else OrderStatus(wanted.status)
        page = cursor.page(
            self.orders.page_of_all(status, wanted.limit + 1, before),
            wanted.limit,
            lambda order: cursor.encode_position(order.created_at, order.id),
        )
        counts = self.orders.counts()
        return Response(
            200,
            api.LabOrders(
                orders=[*map(_order, page.items)],
                counts=[
                    api.StatusCount(status=one.value, orders=counts.get(one, 0))
                    for one in OrderStatus
                ],
                next_cursor=page.next_cursor,
            ),
        )


def _order(order: Order) -> api.LabOrder:
    return api.LabOrder(
        id=order.id,
        status=order.status.value,
        currency=order.currency,
        total_minor=order.total_minor,
        prints=sum(line.quantity for line in order.lines),
        country=order.delivery.country,
        created_at=format_utc(order.created_at),
        updated_at=format_utc(order.updated_at),
    )
