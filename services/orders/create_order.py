"""What a customer does with orders: look at what there is, order, look at the order, cancel it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders import api
from services.orders.model import (
    TOTAL_MINOR_MAX,
    Delivery,
    IllegalTransition,
    KeyReused,
    MixedCurrencies,
    NewLine,
    NewOrder,
    Order,
    OrderStatus,
    Orientation,
    TotalTooHigh,
    UnknownProducts,
)
from services.orders.start_workflows import Starter
from services.orders.store import Orders, Position
from services.platform import cursor, log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError, shown


@dataclass(frozen=True)
class Shop:
    """Shows products and a customer's own orders."""

    orders: Orders

    def products(self, _request: Request) -> Response:
        """Answers GET /products."""
        found = [api.product(product) for product in self.orders.products()]
        return Response(200, api.Products(products=found))

    def list(self, request: Request) -> Response:
        """Answers GET /orders."""
        wanted: api.OrderPageParameters = request.parameters
        before = None if wanted.cursor is None else Position(*cursor.decode_position(wanted.cursor))
        # One more than wanted tells whether there is a next page.
        found = self.orders.page(request.caller.user_id, wanted.limit + 1, before)
        page, more = found[: wanted.limit], found[wanted.limit :]
        next_cursor = None
        if more:
            next_cursor = cursor.encode([page[-1].created_at.isoformat(), page[-1].id])
        return Response(
            200, api.OrderPage(orders=[*map(api.summary, page)], next_cursor=next_cursor)
        )

    def get(self, request: Request) -> Response:
        """Answers GET /orders/{id}."""
        order = _own(self.orders, request)
        return Response(200, api.details(order, self.orders.transitions(order.id)))


@dataclass(frozen=True)
class Counter:
    """Takes orders."""

    orders: Orders
    starter: Starter

    def order(self, request: Request) -> Response:
        """Answers POST /orders. A repetition with the same key goes on where it was cut off."""
        wanted: api.OrderRequest = request.body
        try:
            order = self.orders.create(_new_order(request, wanted))
        except UnknownProducts as unknown:
            raise HttpProblem(
                INVALID_REQUEST,
                "The order has products that are not sold; see GET /products.",
                [
                    FieldError(
                        f"lines[{n}].product_id", "a product that is sold", shown(line.product_id)
                    )
                    for n, line in enumerate(wanted.lines)
                    if line.product_id in unknown.ids
                ],
            ) from None
        except (MixedCurrencies, TotalTooHigh) as error:
            raise _not_one_bill(error) from None
        except KeyReused as error:
            raise HttpProblem(api.KEY_REUSED, str(error)) from None
        log.bind(order_id=order.id)
        if order.started_at is None:
            self.starter.start(order)
            self.starter.start_cut_off()
        document = api.details(order, self.orders.transitions(order.id))
        return Response(201, document, {"location": f"/orders/{order.id}"})


@dataclass(frozen=True)
class Cancellation:
    """Cancels orders. The workflow finds the order cancelled at its next step, and gives back what
    was charged (FailOrder)."""

    orders: Orders
    sns: Any
    topic_arn: str

    def cancel(self, request: Request) -> Response:
        """Answers POST /orders/{id}/cancellation; a repetition changes nothing."""
        order = _own(self.orders, request)
        try:
            order = self.orders.advance(order.id, OrderStatus.CANCELLED, "You cancelled the order.")
        except IllegalTransition as illegal:
            raise HttpProblem(
                api.NOT_CANCELLABLE, f"The order is {illegal.current.value} already."
            ) from None
        publish(self.sns, self.topic_arn, order_event(OrderEventType.CANCELLED, order.id))
        return Response(200, api.details(order, self.orders.transitions(order.id)))


def _own(orders: Orders, request: Request) -> Order:
    wanted: api.OrderParameters = request.parameters
    order = orders.of_user(request.caller.user_id, wanted.id)
    if order is None:
        raise HttpProblem(api.ORDER_NOT_FOUND, f"You have no order {wanted.id}.")
    log.bind(order_id=order.id)
    return order


def _not_one_bill(error: MixedCurrencies | TotalTooHigh) -> HttpProblem:
    if isinstance(error, MixedCurrencies):
        expected, got = "products of one currency", ", ".join(sorted(error.currencies))
    else:
        expected = f"a total of at most {TOTAL_MINOR_MAX}, in the minor unit"
        got = str(error.total_minor)
    return HttpProblem(
        INVALID_REQUEST,
        "The lines cannot be charged together; please make several orders of them.",
        [FieldError("lines", expected, got)],
    )


def _new_order(request: Request, wanted: api.OrderRequest) -> NewOrder:
    delivery = wanted.delivery
    return NewOrder(
        user_id=request.caller.user_id,
        recipient=request.caller.email,
        lines=tuple(
            NewLine(
                product_id=line.product_id,
                image_id=line.image_id,
                quantity=line.quantity,
                focus=None if line.focus is None else (line.focus.x, line.focus.y),
                orientation=Orientation(line.orientation),
            )
            for line in wanted.lines
        ),
        payment_method=wanted.payment_method,
        delivery=Delivery(
            name=delivery.name,
            line1=delivery.line1,
            line2=delivery.line2,
            postcode=delivery.postcode,
            city=delivery.city,
            country=delivery.country,
        ),
        idempotency_key=_key(request),
    )


def _key(request: Request) -> str | None:
    key = request.headers.get(api.IDEMPOTENCY_KEY.lower())
    if key is not None and not api.is_key(key):
        raise HttpProblem(
            INVALID_REQUEST,
            "The idempotency key is not as expected.",
            [
                FieldError(
                    api.IDEMPOTENCY_KEY,
                    f"1 to {api.KEY_CHARACTERS_MAX} printable ASCII characters",
                    shown(key),
                )
            ],
        )
    return key
