"""fulfill-order with real photos, print files and a real database."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from services.catalog.model import ImageStatus
from services.events.orders import OrderEventType
from services.orders.fulfill_order import CannotPrint, FulfillOrder, OriginalGone
from services.orders.loading import OrderEnded
from services.orders.model import (
    IllegalTransition,
    Order,
    OrderStatus,
)
from services.orders.print_files import JOB_SHEET, list_files, order_prefix
from services.orders.store import Orders
from services.platform.errors import TransientError
from tests.integration.orders.environment import PATHS, OrderFactory, OrderResources
from tests.integration.orders.photos import (
    FULFILLED,
    GOOD_PX,
    PAID,
    Photos,
    now,
    ordered,
    task,
)
from tests.support.photos import jpeg, scene

# With a bleed of 3 mm on each side, at 300 dpi.
PORTRAIT_PX, LANDSCAPE_PX = (425, 543), (543, 425)


@pytest.fixture
def fulfill(orders: Orders, photos: Photos, resources: OrderResources) -> FulfillOrder:
    return FulfillOrder(
        orders=orders,
        catalog=photos.catalog,
        s3=resources.s3,
        sns=resources.sns,
        originals_bucket=photos.originals,
        renditions_bucket=photos.renditions,
        prints_bucket=resources.prints_bucket,
        topic_arn=resources.topic_arn,
    )


def content_of(resources: OrderResources, order: Order, name: str) -> bytes:
    answer = resources.s3.get_object(Bucket=resources.prints_bucket, Key=order_prefix(order) + name)
    content = answer["Body"].read()
    assert isinstance(content, bytes)
    return content


def print_name(order: Order, number: int = 1) -> str:
    return f"{number:02d}-{order.lines[0].product_id}.jpg"


def test_fulfill_order_writes_exact_prints_and_uses_stock(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    upright = photos.add(owner, jpeg(scene(*GOOD_PX)))
    lying = photos.add(owner, jpeg(scene(GOOD_PX[1], GOOD_PX[0])), (GOOD_PX[1], GOOD_PX[0]))
    order = ordered(factory, orders, owner, PAID, lying, upright, lying)
    product = order.lines[0].product_id
    assert fulfill.handle({"order_id": order.id}, task()) == {
        "prints": f"s3://{resources.prints_bucket}/{order_prefix(order)}"
    }
    files = [print_name(order, number) for number in (1, 2, 3)]
    assert list_files(resources.s3, resources.prints_bucket, order) == {*files, JOB_SHEET}
    for name, size in zip(files, (LANDSCAPE_PX, PORTRAIT_PX, LANDSCAPE_PX), strict=True):
        with Image.open(io.BytesIO(content_of(resources, order, name))) as image:
            assert (image.size, image.info["dpi"]) == (size, (300, 300))
    assert content_of(resources, order, JOB_SHEET).startswith(b"%PDF-")
    assert now(orders, order).status is FULFILLED
    assert factory.assert_balanced(orders, product, 10).sold == 3
    (event,) = resources.published(order.id)
    assert event.type is OrderEventType.SHIPPED


def test_fulfill_order_repeated_writes_nothing(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    order = ordered(factory, orders, owner, PAID, photos.add(owner, jpeg(scene(*GOOD_PX))))
    first = fulfill.handle({"order_id": order.id}, task())
    listed = resources.s3.list_objects_v2(
        Bucket=resources.prints_bucket, Prefix=order_prefix(order)
    )
    # The answer was lost, and the original was deleted since.
    for key in photos.keys(owner, order.lines[0].image_id):
        photos.s3.delete_object(Bucket=photos.originals, Key=key)
    assert fulfill.handle({"order_id": order.id}, task()) == first
    again = resources.s3.list_objects_v2(Bucket=resources.prints_bucket, Prefix=order_prefix(order))
    assert again["Contents"] == listed["Contents"]
    assert factory.assert_balanced(orders, order.lines[0].product_id, 10).sold == 1
    assert len({event.id for event in resources.published(order.id)}) == 1


def test_fulfill_order_keeps_files_of_a_dead_worker(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    image = photos.add(owner, jpeg(scene(*GOOD_PX)))
    order = ordered(factory, orders, owner, PAID, image, image)
    key = order_prefix(order) + print_name(order)
    resources.s3.put_object(Bucket=resources.prints_bucket, Key=key, Body=b"made before")
    fulfill.handle({"order_id": order.id}, task())
    assert content_of(resources, order, print_name(order)) == b"made before"
    assert content_of(resources, order, print_name(order, 2)).startswith(b"\xff\xd8")


def test_fulfill_order_with_little_time_left_is_transient(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    order = ordered(factory, orders, owner, PAID, photos.add(owner, jpeg(scene(*GOOD_PX))))
    with pytest.raises(TransientError, match="s left for line 1"):
        fulfill.handle({"order_id": order.id}, task(seconds_left=5))
    assert now(orders, order).status is PAID
    assert list_files(resources.s3, resources.prints_bucket, order) == frozenset()
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED


def test_fulfill_order_uses_any_unchanged_original(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    content = jpeg(scene(*GOOD_PX))
    image = photos.add(owner, content)
    assert photos.add(owner, content) == image
    first, second = photos.keys(owner, image)
    # Overwritten, before the catalogue knows.
    photos.s3.put_object(Bucket=photos.originals, Key=first, Body=jpeg(scene(64, 96)))
    order = ordered(factory, orders, owner, PAID, image)
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED
    # The other original is deleted too: no other photo is printed instead.
    photos.s3.delete_object(Bucket=photos.originals, Key=second)
    late = ordered(factory, orders, owner, PAID, image)
    with pytest.raises(OriginalGone, match="no original of photo"):
        fulfill.handle({"order_id": late.id}, task())
    assert now(orders, late).status is PAID
    assert JOB_SHEET not in list_files(resources.s3, resources.prints_bucket, late)


def test_fulfill_order_deleted_photo_raises_original_gone(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, fulfill: FulfillOrder
) -> None:
    there = photos.add(owner, jpeg(scene(*GOOD_PX)))
    for gone in ("0" * 32, photos.add(factory.user(), b"another's")):
        order = ordered(factory, orders, owner, PAID, there, gone)
        with pytest.raises(OriginalGone, match=f"photo {gone} was deleted"):
            fulfill.handle({"order_id": order.id}, task())


def test_fulfill_order_developing_photo_is_transient(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, fulfill: FulfillOrder
) -> None:
    """Deleted after it was ordered, and uploaded again."""
    content = jpeg(scene(*GOOD_PX))
    image = photos.add(owner, content, status=ImageStatus.DEVELOPING)
    order = ordered(factory, orders, owner, PAID, image)
    with pytest.raises(TransientError, match="still being developed"):
        fulfill.handle({"order_id": order.id}, task())
    photos.add(owner, content)
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED


def test_fulfill_order_damaged_original_raises_cannot_print(
    factory: OrderFactory, orders: Orders, photos: Photos, owner: str, fulfill: FulfillOrder
) -> None:
    order = ordered(factory, orders, owner, PAID, photos.add(owner, jpeg(scene(*GOOD_PX))[:2000]))
    with pytest.raises(CannotPrint, match="line 1"):
        fulfill.handle({"order_id": order.id}, task())


def test_fulfill_order_without_thumbnail_writes_the_job_sheet(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
) -> None:
    image = photos.add(owner, jpeg(scene(*GOOD_PX)))
    photos.s3.delete_object(Bucket=photos.renditions, Key=f"{owner}/{image}/thumb.jpg")
    order = ordered(factory, orders, owner, PAID, image)
    fulfill.handle({"order_id": order.id}, task())
    assert content_of(resources, order, JOB_SHEET).startswith(b"%PDF-")


@dataclass(frozen=True)
class CancellingS3:
    """An S3 client that cancels the order while a file of a certain type is written."""

    s3: Any
    orders: Orders
    order_id: str
    at: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def put_object(self, **arguments: Any) -> Any:
        answer = self.s3.put_object(**arguments)
        if arguments["Key"].endswith(self.at):
            self.orders.advance(self.order_id, OrderStatus.CANCELLED)
        return answer


@pytest.mark.parametrize("at", [".jpg", JOB_SHEET])
def test_fulfill_order_cancelled_meanwhile_deletes_its_files(
    factory: OrderFactory,
    orders: Orders,
    photos: Photos,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
    at: str,
) -> None:
    order = ordered(factory, orders, owner, PAID, photos.add(owner, jpeg(scene(*GOOD_PX))))
    step = dataclasses.replace(
        fulfill, s3=CancellingS3(resources.s3, factory.orders(), order.id, at)
    )
    for _ in range(2):
        with pytest.raises(OrderEnded):
            step.handle({"order_id": order.id}, task())
    assert list_files(resources.s3, resources.prints_bucket, order) == frozenset()
    assert now(orders, order).status is OrderStatus.CANCELLED
    level = factory.assert_balanced(orders, order.lines[0].product_id, 10)
    assert (level.sold, level.reserved) == (0, 0)
    assert resources.published(order.id) == []


@pytest.mark.parametrize(
    "status",
    [status for status in PATHS if status not in (PAID, FULFILLED, OrderStatus.SHIPPED)],
)
def test_fulfill_order_unpaid_order_writes_nothing(
    factory: OrderFactory,
    orders: Orders,
    resources: OrderResources,
    owner: str,
    fulfill: FulfillOrder,
    status: OrderStatus,
) -> None:
    order = ordered(factory, orders, owner, status, "0" * 32)
    given_up = status in (OrderStatus.CANCELLED, OrderStatus.FAILED)
    with pytest.raises(OrderEnded if given_up else IllegalTransition):
        fulfill.handle({"order_id": order.id}, task())
    assert list_files(resources.s3, resources.prints_bucket, order) == frozenset()
    assert now(orders, order) == order
