"""The HTTP contract of orders: requests, responses and problems of each route."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.orders.model import FindingCode, Order, OrderStatus, Product, Transition
from services.platform.functions.access import Access, Scope
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.timestamps import format_utc
from services.platform.usage import USAGE_EXCEEDED
from services.platform.validation import END

LINES_MAX = 50
QUANTITY_MAX = 100
PAGE_ORDERS = 20
PAGE_ORDERS_MAX = 100
KEY_CHARACTERS_MAX = 255
IDEMPOTENCY_KEY = "Idempotency-Key"

ORDER_NOT_FOUND = Problem(404, "order-not-found", "Order not found")
KEY_REUSED = Problem(422, "idempotency-key-reused", "Idempotency key used for another order")
NOT_CANCELLABLE = Problem(409, "order-not-cancellable", "Order can no longer be cancelled")
NOTICE_REFUSED = Problem(400, "notice-refused", "Webhook refused")

_LINE = r"[^\x00-\x1f\x7f]"
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=f"^{_LINE}*[^\\s\\x00-\\x1f\\x7f]{_LINE}*{END}",
        description="1 to 100 characters, on one line",
    ),
]
OrderId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{END}",
        description="an order's id, a UUID",
        examples=["6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"],
    ),
]
ProductId = Annotated[
    str,
    Meta(
        pattern=f"^[a-z0-9]+(-[a-z0-9]+)*{END}",
        max_length=64,
        description="a product's id: small letters and digits, in words joined by -",
        examples=["print-10x15-glossy"],
    ),
]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Status = Annotated[
    str,
    Meta(
        description="current status, or how the order ended",
        extra_json_schema={"enum": [status.value for status in OrderStatus]},
    ),
]


class Focus(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The point that the print must show, in fractions of the upright photo from its left and its
    top."""

    x: Fraction
    y: Fraction


class OrderedPrint(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Prints of one photo. Without `focus` the print shows the most salient part of the photo."""

    product_id: ProductId
    image_id: Annotated[
        str,
        Meta(
            pattern=f"^[0-9a-f]{{32}}{END}",
            description="the id of one of your photos: 32 hexadecimal digits",
        ),
    ]
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX, description="number of prints")]
    focus: Focus | None = None
    orientation: Literal["follows-photo", "portrait", "landscape"] = "follows-photo"


class Address(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The delivery address."""

    name: Text
    line1: Text
    postcode: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=16,
            pattern=f"^[A-Za-z0-9 -]*[A-Za-z0-9][A-Za-z0-9 -]*{END}",
            description="a postcode: letters, digits, spaces and -",
        ),
    ]
    city: Text
    country: Annotated[
        str,
        Meta(
            pattern=f"^[A-Z]{{2}}{END}",
            description="a country's two capital letters (ISO 3166-1 alpha-2)",
            examples=["DE"],
        ),
    ]
    line2: Text | None = None


class OrderRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new order."""

    lines: Annotated[list[OrderedPrint], Meta(min_length=1, max_length=LINES_MAX)]
    payment_method: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            pattern=f"^[A-Za-z0-9_-]+{END}",
            description="the payment provider's id of the customer's payment method: "
            "letters, digits, - and _",
            examples=["pm_card_visa", "sandbox-ok"],
        ),
    ]
    delivery: Address


class PrintProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A print on sale. Sizes in mm, the price of one print in the minor unit (cents)."""

    id: ProductId
    name: str
    paper: str
    width_mm: float
    height_mm: float
    price_minor: int
    currency: str
    available: Annotated[bool, Meta(description="whether its paper is in stock now")]


class Products(msgspec.Struct, frozen=True, kw_only=True):
    products: list[PrintProduct]


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """Prints of one photo, at the price when they were ordered."""

    number: int
    product_id: str
    product_name: str
    image_id: str
    quantity: int
    unit_price_minor: int


class LineFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with a line of the order, for programs: a page says it in its language. Only
    the values of its `code` are there."""

    line: Annotated[int, Meta(description="`number` of the line")]
    code: Annotated[
        str,
        Meta(
            description="`resolution-low` is a warning, the others end the order",
            extra_json_schema={"enum": [code.value for code in FindingCode]},
        ),
    ]
    reason: Annotated[
        str | None, Meta(description="of `photo-rejected`: the `reason` of the photo")
    ] = None
    dpi: Annotated[
        float | None, Meta(description="of `resolution-*`: the photo's pixels an inch of the print")
    ] = None
    required_dpi: Annotated[
        int | None,
        Meta(
            description="of `resolution-too-low`: the least that is printed; of `resolution-low`: "
            "the least that looks sharp"
        ),
    ] = None
    sharp_width_mm: Annotated[
        int | None,
        Meta(description="of `resolution-*`: the largest print that looks sharp, if there is one"),
    ] = None
    sharp_height_mm: int | None = None
    available: Annotated[
        int | None, Meta(description="of `out-of-stock`: prints that were left of the product")
    ] = None


class HistoryStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the order reached a status, and why if there is a reason: in English, and as findings
    for programs."""

    status: Status
    at: Time
    message: str | None = None
    warnings: list[str] = []
    findings: list[LineFinding] = []


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a list. Money in the minor unit of `currency`."""

    id: OrderId
    status: Status
    currency: str
    total_minor: int
    created_at: Time
    updated_at: Time
    lines: list[OrderLine]


class OrderDetails(OrderSummary, frozen=True, kw_only=True):
    """An order with its history. `refunded`: the payment was refunded."""

    refunded: bool
    delivery: Address
    history: list[HistoryStep]


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """Orders, newest first. `next_cursor` is null on the last page."""

    orders: list[OrderSummary]
    next_cursor: str | None


class OrderPageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=PAGE_ORDERS_MAX, description="orders on a page")] = (
        PAGE_ORDERS
    )
    cursor: (
        Annotated[str, Meta(max_length=300, description="`next_cursor` of the previous page")]
        | None
    ) = None


class OrderParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: OrderId


class NoticeReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The provider need not send the webhook again."""

    received: bool = True


LIST_PRODUCTS = Operation(
    summary="List the prints on sale",
    access=Access.ANYONE,
    answers={200: Answer("All products on sale", Products)},
)
CREATE_ORDER = Operation(
    summary="Order prints of your photos",
    description="The order is processed in the background; its history shows the progress. Each "
    f"request without {IDEMPOTENCY_KEY} creates a new order.",
    access=Access.CUSTOMER,
    scope=Scope.ORDERS_WRITE,
    body=OrderRequest,
    request_headers={IDEMPOTENCY_KEY: "repetitions with the same key return the same order"},
    answers={201: Answer("The order", OrderDetails, {"Location": "the order's path"})},
    problems=(KEY_REUSED, USAGE_EXCEEDED),
)
LIST_ORDERS = Operation(
    summary="List your orders, newest first",
    access=Access.CUSTOMER,
    scope=Scope.ORDERS_READ,
    parameters=OrderPageParameters,
    answers={200: Answer("A page of orders", OrderPage)},
)
GET_ORDER = Operation(
    summary="Get one of your orders, with its history",
    access=Access.CUSTOMER,
    scope=Scope.ORDERS_READ,
    parameters=OrderParameters,
    answers={200: Answer("The order", OrderDetails)},
    problems=(ORDER_NOT_FOUND,),
)
CANCEL_ORDER = Operation(
    summary="Cancel one of your orders",
    description="Possible until its prints are made. A charged payment is refunded.",
    access=Access.CUSTOMER,
    scope=Scope.ORDERS_WRITE,
    parameters=OrderParameters,
    answers={200: Answer("The cancelled order", OrderDetails)},
    problems=(ORDER_NOT_FOUND, NOT_CANCELLABLE),
)
RECEIVE_PAYMENT = Operation(
    summary="Receive a webhook of the payment provider",
    description="For the payment provider only. The signature over the raw body is verified; a "
    "signature older than five minutes is refused.",
    access=Access.ANYONE,
    raw_body=True,
    request_headers={
        "Payment-Signature": "of the sandbox provider: t=SECONDS,v1=HEXADECIMAL",
        "Stripe-Signature": "of Stripe",
    },
    answers={200: Answer("Received, now or earlier", NoticeReceived)},
    problems=(NOTICE_REFUSED,),
)


def is_key(text: str) -> bool:
    """Whether `text` is a valid idempotency key: 1 to 255 printable ASCII characters."""
    return 1 <= len(text) <= KEY_CHARACTERS_MAX and text.isascii() and text.isprintable()


def product(found: Product) -> PrintProduct:
    """The response document of a product."""
    return PrintProduct(
        id=found.id,
        name=found.name,
        paper=found.paper,
        width_mm=found.width_mm,
        height_mm=found.height_mm,
        price_minor=found.price_minor,
        currency=found.currency,
        available=found.available > 0,
    )


def summary(order: Order) -> OrderSummary:
    """The response document of an order in a list."""
    return OrderSummary(
        id=order.id,
        status=order.status.value,
        currency=order.currency,
        total_minor=order.total_minor,
        created_at=format_utc(order.created_at),
        updated_at=format_utc(order.updated_at),
        lines=_lines(order),
    )


def details(order: Order, transitions: tuple[Transition, ...]) -> OrderDetails:
    """The response document of an order with its history. It holds neither the payment method nor
    the provider's ids."""
    delivery = order.delivery
    return OrderDetails(
        id=order.id,
        status=order.status.value,
        currency=order.currency,
        total_minor=order.total_minor,
        created_at=format_utc(order.created_at),
        updated_at=format_utc(order.updated_at),
        lines=_lines(order),
        refunded=order.refund_id is not None,
        delivery=Address(
            name=delivery.name,
            line1=delivery.line1,
            line2=delivery.line2,
            postcode=delivery.postcode,
            city=delivery.city,
            country=delivery.country,
        ),
        history=[
            HistoryStep(
                status=step.to.value,
                at=format_utc(step.at),
                message=step.cause or None,
                warnings=[str(warning) for warning in step.detail.get("warnings", ())],
                findings=msgspec.convert(step.detail.get("findings", []), list[LineFinding]),
            )
            for step in transitions
        ],
    )


def _lines(order: Order) -> list[OrderLine]:
    return [
        OrderLine(
            number=line.number,
            product_id=line.product_id,
            product_name=line.product_name,
            image_id=line.image_id,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
        )
        for line in order.lines
    ]
