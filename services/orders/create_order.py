"""create-order: answers POST /orders."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import api
from services.orders.allowance import UNLIMITED, Allowance
from services.orders.declined_payments import DeclinedPayments
from services.orders.model import (
    TOTAL_MINOR_MAX,
    Delivery,
    KeyReused,
    MixedCurrencies,
    NewLine,
    NewOrder,
    OrderLimitReached,
    Orientation,
    TotalTooHigh,
    UnknownProducts,
)
from services.orders.start_workflows import WorkflowStarter
from services.orders.store import Orders
from services.platform import log
from services.platform.counters import LimitExceededError
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.usage import DailyLimit, usage_exceeded
from services.platform.validation import FieldCode, FieldError, shown


@dataclass(frozen=True)
class DeclinedLimit:
    """Allows a network `per_hour` declined payments an hour."""

    payments: DeclinedPayments
    per_hour: int

    def check(self, address: str) -> None:
        """Raises HttpProblem 429 when the limit is reached."""
        try:
            self.payments.check(address, self.per_hour)
        except LimitExceededError as error:
            what = f"{self.per_hour} declined payments an hour from this address"
            raise usage_exceeded(what, error.retry_after_seconds) from None


@dataclass(frozen=True)
class CreateOrder:
    """Stores an order and starts its workflow."""

    orders: Orders
    starter: WorkflowStarter
    allowance: Allowance = UNLIMITED
    of_address: DailyLimit | None = None
    declined: DeclinedLimit | None = None

    def handle(self, request: Request) -> Response:
        """Returns 201 with the order. A repetition with the same idempotency key returns the same
        order, and starts it if the first request was interrupted.

        Raises HttpProblem: 400 for an order that cannot be charged or has products that are not
        sold, 422 for an idempotency key of another order, 429 when a limit is reached.
        """
        wanted: api.OrderRequest = request.body
        try:
            new = _new_order(request, wanted)
            if self.of_address is not None:
                self.of_address.take_for_address(request.source_ip)
            if self.declined is not None:
                self.declined.check(request.source_ip)
            order = self.orders.create(new, self.allowance)
        except UnknownProducts as unknown:
            raise HttpProblem(
                INVALID_REQUEST,
                "Some products are not on sale; GET /products lists those that are.",
                [
                    FieldError(
                        f"lines[{n}].product_id",
                        "a product on sale",
                        shown(line.product_id),
                        FieldCode.NOT_ON_SALE,
                    )
                    for n, line in enumerate(wanted.lines)
                    if line.product_id in unknown.ids
                ],
            ) from None
        except (MixedCurrencies, TotalTooHigh) as error:
            raise _not_chargeable(error) from None
        except OrderLimitReached as error:
            raise usage_exceeded(error.limit, error.retry_after_seconds) from None
        except KeyReused as error:
            raise HttpProblem(api.KEY_REUSED, str(error)) from None
        log.correlate(order.id, origin=order.started_at is None)
        log.bind(order_id=order.id)
        if order.started_at is None:
            if self.declined is not None:
                self.declined.payments.assign(order.id, request.source_ip)
            self.starter.start(order)
            self.starter.resume_interrupted()
        document = api.details(order, self.orders.transitions(order.id))
        return Response(201, document, {"location": f"/orders/{order.id}"})


def _not_chargeable(error: MixedCurrencies | TotalTooHigh) -> HttpProblem:
    if isinstance(error, MixedCurrencies):
        expected, got = "products priced in one currency", ", ".join(sorted(error.currencies))
        code = FieldCode.SEVERAL_CURRENCIES
    else:
        expected = f"a total of at most {TOTAL_MINOR_MAX} in the minor unit"
        got, code = str(error.total_minor), FieldCode.TOTAL_TOO_HIGH
    return HttpProblem(
        INVALID_REQUEST,
        "The lines cannot be charged in one payment; split them into several orders.",
        [FieldError("lines", expected, got, code)],
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
        idempotency_key=_idempotency_key(request),
    )


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get(api.IDEMPOTENCY_KEY.lower())
    if key is not None and not api.is_key(key):
        raise HttpProblem(
            INVALID_REQUEST,
            "The idempotency key is invalid.",
            [
                FieldError(
                    api.IDEMPOTENCY_KEY,
                    f"1 to {api.KEY_CHARACTERS_MAX} printable ASCII characters",
                    shown(key),
                )
            ],
        )
    return key
