"""validate-order and fulfill-order with the emulator's catalogue and storage: photos that exist,
are deleted, replaced, too small or damaged, and the exact sizes of prints."""

from __future__ import annotations

import pytest

from services.catalog.model import ImageStatus
from services.events.orders import OrderEventType
from services.orders.loading import OrderEnded
from services.orders.model import (
    OrderRejected,
    OrderStatus,
    Orientation,
)
from services.orders.store import Orders
from services.orders.validate_order import ValidateOrder
from services.platform.errors import TransientError
from tests.integration.orders.environment import OrderFactory, OrderResources
from tests.integration.orders.photos import (
    CREATED,
    FULFILLED,
    GOOD_PX,
    PAID,
    SMALL_PX,
    SOFT_PX,
    Photos,
    now,
    ordered,
    task,
)
from tests.support.photos import jpeg, scene


@pytest.fixture
def validate(orders: Orders, photos: Photos, resources: OrderResources) -> ValidateOrder:
    return ValidateOrder(orders, photos.catalog, resources.sns, resources.topic_arn)


def test_validate_order_sufficient_photos_pass(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    validate: ValidateOrder,
) -> None:
    images = [photos.add(owner, jpeg(scene(64, 96, seed=n)), GOOD_PX) for n in (1, 2)]
    order = ordered(factory, orders, owner, CREATED, *images, images[0])
    for _ in range(2):
        assert validate.handle({"order_id": order.id}, task()) == {"lines": 3}
    assert now(orders, order).status is OrderStatus.VALIDATED
    *_, step = orders.transitions(order.id)
    assert (step.number, step.detail) == (2, {"warnings": [], "findings": []})
    assert resources.published(order.id) == []


def test_validate_order_low_resolution_warns(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, validate: ValidateOrder
) -> None:
    sharp = photos.add(owner, b"sharp", GOOD_PX)
    soft = photos.add(owner, b"soft", SOFT_PX)
    # A landscape photo of the same size gives the same resolution.
    lying = photos.add(owner, b"lying", (SOFT_PX[1], SOFT_PX[0]))
    order = ordered(factory, orders, owner, CREATED, sharp, soft, lying)
    validate.handle({"order_id": order.id}, task())
    detail = orders.transitions(order.id)[-1].detail
    warnings = detail["warnings"]
    assert [text.split(":")[0] for text in warnings] == [
        "Line 2 (Test print)", "Line 3 (Test print)",
    ]  # fmt: skip
    assert "this photo has 120.3 on a print of 3 x 4 cm" in warnings[0]
    low = {"code": "resolution-low", "dpi": 120.3, "required_dpi": 150}
    assert detail["findings"] == [{"line": 2, **low}, {"line": 3, **low}]


def test_validate_order_considers_the_orientation(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, validate: ValidateOrder
) -> None:
    image = photos.add(owner, b"upright", SOFT_PX)
    order = ordered(factory, orders, owner, CREATED, image, orientation=Orientation.LANDSCAPE)
    with pytest.raises(OrderRejected, match="Line 1"):
        validate.handle({"order_id": order.id}, task())


def test_validate_order_names_every_unprintable_photo(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    validate: ValidateOrder,
) -> None:
    good, small = photos.add(owner, b"good"), photos.add(owner, b"small", SMALL_PX)
    broken = photos.add(owner, b"broken", status=ImageStatus.REJECTED)
    anothers, deleted, none = photos.add(factory.user(), b"a"), photos.add(owner, b"d"), "0" * 32
    photos.catalog.hide(owner, deleted)
    images = [good, small, broken, anothers, deleted, none]
    order = ordered(factory, orders, owner, CREATED, *images)
    messages = []
    for _ in range(2):
        with pytest.raises(OrderRejected) as caught:
            validate.handle({"order_id": order.id}, task())
        messages.append(str(caught.value))
    assert messages[0] == messages[1] == orders.transitions(order.id)[-1].cause
    for number, text in (
        (2, "this photo has 80 on"),
        (3, "The file ends too early."),
        (4, anothers),
    ):
        assert f"Line {number} (Test print): " in messages[0]
        assert text in messages[0]
    assert "Line 1" not in messages[0]
    missing = "photo-not-found"
    assert orders.transitions(order.id)[-1].detail["findings"] == [
        {"line": 2, "code": "resolution-too-low", "dpi": 80, "required_dpi": 100},
        {"line": 3, "code": "photo-rejected", "reason": "truncated"},
        *({"line": number, "code": missing} for number in (4, 5, 6)),
    ]
    # Another customer's photo, a deleted one and an unknown one get the same message.
    assert messages[0].count("you have no photo") == 3
    found = now(orders, order)
    assert (found.status, found.refund_id) == (OrderStatus.REJECTED, None)
    assert found.settled_at is not None
    heard = resources.published(order.id)
    assert {event.type for event in heard} == {OrderEventType.REJECTED}
    assert len({event.id for event in heard}) == 1


def test_validate_order_developing_photo_is_transient(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, validate: ValidateOrder
) -> None:
    content = b"developing"
    image = photos.add(owner, content, status=ImageStatus.DEVELOPING)
    order = ordered(factory, orders, owner, CREATED, photos.add(owner, b"good"), image)
    with pytest.raises(TransientError, match="still being developed"):
        validate.handle({"order_id": order.id}, task())
    assert now(orders, order).status is CREATED
    photos.add(owner, content)
    assert validate.handle({"order_id": order.id}, task()) == {"lines": 2}


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.FAILED])
def test_validate_order_abandoned_order_raises_order_ended(
    factory: OrderFactory, orders: Orders, owner: str, validate: ValidateOrder, status: OrderStatus
) -> None:
    order = ordered(factory, orders, owner, status, "0" * 32)
    with pytest.raises(OrderEnded):
        validate.handle({"order_id": order.id}, task())
    assert now(orders, order) == order


@pytest.mark.parametrize("status", [OrderStatus.VALIDATED, OrderStatus.RESERVED, PAID, FULFILLED])
def test_validate_order_late_repetition_changes_nothing(
    factory: OrderFactory, orders: Orders, owner: str, validate: ValidateOrder, status: OrderStatus
) -> None:
    """Even after the photo was deleted."""
    order = ordered(factory, orders, owner, status, "0" * 32)
    assert validate.handle({"order_id": order.id}, task()) == {"lines": 1}
    assert now(orders, order) == order


# -- fulfill-order
