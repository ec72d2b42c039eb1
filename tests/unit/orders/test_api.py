"""The validation of order requests, and the response documents of an order."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from services.orders import api
from services.orders.model import Delivery, Line, Order, OrderStatus, Orientation, Transition
from services.platform.functions.access import Access
from services.platform.functions.http import BODY_BYTES_MAX
from services.platform.validation import InvalidInputError, convert, decode_json

ORDER_ID = "6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"
VALID_ORDER: dict[str, Any] = {
    "lines": [{"product_id": "print-10x15-glossy", "image_id": "0" * 32, "quantity": 1}],
    "payment_method": "pm_card_visa",
    "delivery": {
        "name": "Anna Muster",
        "line1": "Hafenstr. 1",
        "postcode": "20457",
        "city": "Hamburg",
        "country": "DE",
    },
}
LINE, DELIVERY = "lines[0]", "delivery"
VALID_TEXTS = ["A", "Ünal Ωμέγα 李", " x ", "c/o 3·b", "n" * 100, "🦊"]
INVALID_TEXTS = ["", " ", "\u2003", "n" * 101, "a\nb", "a\n", "a\0b", "\x7f", "\tx", 7, None, ["a"]]


def container(document: Any, path: str) -> tuple[Any, str]:
    """The container of the value at a path such as `lines[0].quantity`, and the value's key."""
    *parents, last = path.replace("[0]", ".0").split(".")
    for part in parents:
        document = document[int(part) if part.isdigit() else part]
    return document, last


def order(path: str = "", value: Any = None) -> dict[str, Any]:
    """A valid order request, except for the value at `path`."""
    changed = copy.deepcopy(VALID_ORDER)
    changed["lines"][0]["focus"] = {"x": 0.5, "y": 0.5}
    if path:
        inside, name = container(changed, path)
        inside[name] = value
    return changed


def mistakes(document: Any) -> list[str]:
    try:
        convert(document, api.OrderRequest)
    except InvalidInputError as error:
        return [e.field for e in error.errors]
    return []


ACCEPTED: dict[str, list[Any]] = {
    f"{LINE}.product_id": ["a", "print-10x15-glossy", "a" * 64, "1-2-3"],
    f"{LINE}.image_id": ["0123456789abcdef" * 2],
    f"{LINE}.quantity": [1, api.QUANTITY_MAX],
    f"{LINE}.focus": [
        None, {"x": 0, "y": 0}, {"x": 1, "y": 1}, {"x": 0.5, "y": 1.0}, {"x": -0.0, "y": 1e-300},
    ],
    f"{LINE}.orientation": ["follows-photo", "portrait", "landscape"],
    "payment_method": ["p", "sandbox-ok", "pm_1N", "p" * 100],
    f"{DELIVERY}.name": VALID_TEXTS,
    f"{DELIVERY}.line1": VALID_TEXTS,
    f"{DELIVERY}.line2": [*VALID_TEXTS, None],
    f"{DELIVERY}.city": VALID_TEXTS,
    f"{DELIVERY}.postcode": ["1", "20457", "SW1A 1AA", "AD500", "1234-567", "x" * 16],
    f"{DELIVERY}.country": ["DE", "ZZ"],
}  # fmt: skip
REFUSED: dict[str, list[Any]] = {
    "lines": [[], [VALID_ORDER["lines"][0]] * (api.LINES_MAX + 1), None, {}, "line", [None], [[]]],
    f"{LINE}.product_id": [
        "", "A", "a_b", "-a", "a-", "a--b", "a" * 65, "a\n", "a\0", "ä", "a b", "../a", 7, None,
    ],
    f"{LINE}.image_id": ["", "0" * 31, "0" * 33, "0" * 32 + "\n", "G" * 32, "A" * 32, 7, None],
    f"{LINE}.quantity": [0, -1, api.QUANTITY_MAX + 1, 2**70, 1.5, 1.0, "1", True, None],
    f"{LINE}.focus": [{}, {"x": 0.5}, [0.5, 0.5], 0.5, "middle"],
    f"{LINE}.focus.x": [-0.1, 1.1, 1e300, "0.5", None, True],
    f"{LINE}.focus.y": [-0.1, 1.1, 10**400, "0.5", None],
    f"{LINE}.orientation": ["", "upright", "Portrait", None, 1],
    "payment_method": ["", "a b", "a\n", "ä", "a;b", "a/b", "p" * 101, 7, None],
    "delivery": [None, "Hamburg", []],
    f"{DELIVERY}.name": INVALID_TEXTS,
    f"{DELIVERY}.line1": INVALID_TEXTS,
    f"{DELIVERY}.line2": [text for text in INVALID_TEXTS if text is not None],
    f"{DELIVERY}.city": INVALID_TEXTS,
    f"{DELIVERY}.postcode": [
        "", " ", "-", " - ", "x" * 17, "2045\n", "2045é", "20457;", 20457, None,
    ],
    f"{DELIVERY}.country": ["", "D", "DEU", "de", "DE\n", "D1", "ÄÖ", 49, None],
}  # fmt: skip


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(path, value, id=f"{path}={str(value)[:20]!r}")
        for path, values in table.items()
        for value in values
    ]


def test_order_request_minimal_gets_defaults() -> None:
    taken = convert(VALID_ORDER, api.OrderRequest)
    assert taken.lines[0].focus is None
    assert taken.lines[0].orientation == "follows-photo"
    assert taken.delivery.line2 is None


@pytest.mark.parametrize(("path", "value"), cases(ACCEPTED))
def test_order_request_valid_value_is_accepted_unchanged(path: str, value: Any) -> None:
    document = order(path, value)
    assert mistakes(document) == []
    inside, name = container(msgspec.to_builtins(convert(document, api.OrderRequest)), path)
    assert inside[name] == value


@pytest.mark.parametrize(("path", "value"), cases(REFUSED))
def test_order_request_invalid_value_names_its_field(path: str, value: Any) -> None:
    (field,) = mistakes(order(path, value))
    # The field or one inside it; U+0000 is reported for the outer field.
    assert field.startswith(path) or ("\0" in str(value) and path.startswith(field))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("price_minor", "price_minor"),
        ("user_id", "user_id"),
        (f"{LINE}.unit_price_minor", f"{LINE}.unit_price_minor"),
        (f"{LINE}.warnings", f"{LINE}.warnings"),
        (f"{DELIVERY}.phone", f"{DELIVERY}.phone"),
    ],
)
def test_order_request_unknown_field_is_refused(path: str, field: str) -> None:
    assert mistakes(order(path, 1)) == [field]


@pytest.mark.parametrize(
    "path",
    [
        "lines", "payment_method", "delivery",
        *(f"{LINE}.{name}" for name in ("product_id", "image_id", "quantity")),
        *(f"{DELIVERY}.{name}" for name in ("name", "line1", "postcode", "city", "country")),
    ],
)  # fmt: skip
def test_order_request_missing_field_is_named(path: str) -> None:
    document = order()
    inside, name = container(document, path)
    del inside[name]
    assert mistakes(document) == [path]


def test_order_request_several_mistakes_names_all_fields() -> None:
    wrong = {"lines": [], "payment_method": "", "delivery": {}, "more": 1}
    assert mistakes(wrong) == ["more", "lines", "payment_method", "delivery.name"]


def test_order_request_largest_fits_in_a_body() -> None:
    line = {
        "product_id": "p" * 64,
        "image_id": "0" * 32,
        "quantity": api.QUANTITY_MAX,
        "focus": {"x": 0.123456789012345678, "y": 0.123456789012345678},
        "orientation": "follows-photo",
    }
    document = order("lines", [line] * api.LINES_MAX)
    document["delivery"] |= dict.fromkeys(("name", "line1", "line2", "city"), "李" * 100)
    body = msgspec.json.encode(document)
    assert len(body) < BODY_BYTES_MAX
    assert len(decode_json(body, api.OrderRequest).lines) == api.LINES_MAX


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"lines": NaN}', b"\xff", b'{"a": "\\ud800"}', b"[" * 50_000],
)
def test_order_request_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        decode_json(body, api.OrderRequest)


def test_order_request_long_text_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidInputError) as caught:
        convert(order(f"{DELIVERY}.name", "a" * 60_000 + "\n"), api.OrderRequest)
    assert len(str(caught.value)) < 300


# -- parameters and headers


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, []),
        ({"limit": "1"}, []),
        ({"limit": str(api.PAGE_ORDERS_MAX), "cursor": "x" * 300}, []),
        ({"limit": "0"}, ["limit"]),
        ({"limit": str(api.PAGE_ORDERS_MAX + 1)}, ["limit"]),
        ({"limit": "many"}, ["limit"]),
        ({"limit": "1.5"}, ["limit"]),
        ({"limit": ""}, ["limit"]),
        ({"cursor": "x" * 301}, ["cursor"]),
        ({"cursor": "\0"}, ["cursor"]),
        ({"user_id": "x"}, ["user_id"]),
    ],
)
def test_page_parameters_are_checked(parameters: dict[str, str], wrong: list[str]) -> None:
    try:
        convert(parameters, api.OrderPageParameters, texts=True)
    except InvalidInputError as error:
        assert [e.field for e in error.errors] == wrong  # noqa: PT017  there may be none
    else:
        assert wrong == []


@pytest.mark.parametrize(
    "order_id",
    [
        "", "x", "0" * 32, ORDER_ID.upper(), ORDER_ID[:-1], ORDER_ID + "\n", f"{{{ORDER_ID}}}",
        "../orders",
    ],
)  # fmt: skip
def test_order_id_malformed_is_refused(order_id: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        convert({"id": order_id}, api.OrderParameters, texts=True)
    assert [e.field for e in caught.value.errors] == ["id"]


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("k", True), ("a b/c=", True), ("k" * 255, True), ("~", True),
        ("", False), ("k" * 256, False), ("ä", False), ("a\n", False), ("\x7f", False),
        ("\0", False),
    ],
)  # fmt: skip
def test_idempotency_key_is_checked(key: str, good: bool) -> None:
    assert api.is_key(key) is good


def test_operations_of_orders_require_a_customer() -> None:
    """tests/integration/api/test_authorization.py covers every route."""
    for operation in (api.CREATE_ORDER, api.LIST_ORDERS, api.GET_ORDER, api.CANCEL_ORDER):
        assert operation.access is Access.CUSTOMER
    assert api.RECEIVE_PAYMENT.raw_body


# -- response documents

AT = datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC)
ORDER = Order(
    id=ORDER_ID,
    user_id="user-1",
    recipient="anna@darkroom.example",
    status=OrderStatus.FAILED,
    currency="EUR",
    total_minor=500,
    payment_method="pm_secret",
    delivery=Delivery("Anna", "Hafenstr. 1", "20457", "Hamburg", "DE", "c/o Ünal"),
    lines=(
        Line(1, "p", "Print", "glossy", 100, 150, 250, "0" * 32, 2, None, Orientation.PORTRAIT),
    ),
    created_at=AT,
    updated_at=AT.astimezone(timezone(timedelta(hours=5))),
    refund_id="refund-1",
)
FINDING = {"line": 1, "code": "resolution-low", "dpi": 120.3, "required_dpi": 150}
HISTORY = (
    Transition(1, None, OrderStatus.CREATED, AT),
    Transition(
        2,
        OrderStatus.CREATED,
        OrderStatus.VALIDATED,
        AT,
        "",
        {"warnings": ["soft"], "findings": [FINDING], "payment": "x"},
    ),
    Transition(
        3,
        OrderStatus.VALIDATED,
        OrderStatus.FAILED,
        AT,
        "Sorry.",
        {"error": "E", "cause": "secret"},
    ),
)


def test_details_show_what_the_customer_may_see() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(api.details(ORDER, HISTORY)))
    assert shown == {
        "id": ORDER.id,
        "status": "failed",
        "currency": "EUR",
        "total_minor": 500,
        "created_at": "2026-01-02T03:04:05.678Z",
        "updated_at": "2026-01-02T03:04:05.678Z",
        "lines": [
            {
                "number": 1,
                "product_id": "p",
                "product_name": "Print",
                "image_id": "0" * 32,
                "quantity": 2,
                "unit_price_minor": 250,
            }
        ],
        "refunded": True,
        "delivery": {
            "name": "Anna",
            "line1": "Hafenstr. 1",
            "line2": "c/o Ünal",
            "postcode": "20457",
            "city": "Hamburg",
            "country": "DE",
        },
        "history": [
            {"status": "created", "at": "2026-01-02T03:04:05.678Z"},
            {
                "status": "validated",
                "at": "2026-01-02T03:04:05.678Z",
                "warnings": ["soft"],
                "findings": [FINDING],
            },
            {"status": "failed", "at": "2026-01-02T03:04:05.678Z", "message": "Sorry."},
        ],
    }


def test_summary_omits_delivery_and_history() -> None:
    shown = msgspec.to_builtins(api.summary(ORDER))
    assert "delivery" not in shown
    assert "history" not in shown
    for text in ("pm_secret", "anna@darkroom.example", "user-1", "refund-1", "secret"):
        assert text not in str(shown) + str(msgspec.to_builtins(api.details(ORDER, HISTORY)))
