"""validate-order and fulfill-order with the emulator's catalogue and storage: photos that exist,
are deleted, replaced, too small or damaged, and the exact sizes of prints."""

from __future__ import annotations

import dataclasses
import io
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from services.catalog.lifecycle import ImageLifecycle
from services.catalog.model import ImageRecord, ImageStatus, Source, StoredRendition, image_id
from services.catalog.renditions import RenditionStore
from services.catalog.store import Catalog
from services.events.orders import OrderEventType
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.orders.fulfill_order import CannotPrint, FulfillOrder, OriginalGone
from services.orders.loading import OrderEnded
from services.orders.model import (
    IllegalTransition,
    NewLine,
    Order,
    OrderRejected,
    OrderStatus,
    Orientation,
    Product,
)
from services.orders.print_files import JOB_SHEET, list_files, order_prefix
from services.orders.products import Products
from services.orders.store import Orders
from services.orders.validate_order import ValidateOrder
from services.platform.errors import TransientError
from services.platform.functions.sqs import Message
from services.platform.functions.task import Task
from tests.integration.orders.conftest import PATHS, PRICE_MINOR, OrderFactory, OrderResources
from tests.support.photos import jpeg, scene

SIZE_MM = (30, 40)
# With a bleed of 3 mm on each side, at 300 dpi.
PORTRAIT_PX, LANDSCAPE_PX = (425, 543), (543, 425)
# Photo sizes that give such a print 200, 120 and 80 dpi.
GOOD_PX, SOFT_PX, SMALL_PX = (284, 363), (171, 218), (114, 145)
CREATED, PAID, FULFILLED = OrderStatus.CREATED, OrderStatus.PAID, OrderStatus.FULFILLED


def task(seconds_left: float = 900) -> Task:
    message = Message("m", "", 1, False, time.monotonic() + seconds_left)
    return Task("token", "State", 900, message)


@dataclass(frozen=True)
class Photos:
    """The photos of customers: catalogue records, originals and renditions."""

    session: LocalSession
    originals: str
    renditions: str

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.session.client("dynamodb"), self.originals)

    @property
    def s3(self) -> Any:
        return self.session.client("s3")

    def add(
        self,
        owner: str,
        content: bytes,
        size: tuple[int, int] = GOOD_PX,
        status: ImageStatus = ImageStatus.DEVELOPED,
    ) -> str:
        """Adds a photo as process-image does and returns its id."""
        key, found = f"{owner}/{uuid.uuid4().hex}/photo.jpg", image_id(content)
        self.s3.put_object(Bucket=self.originals, Key=key, Body=content)
        source = Source(key=key, sequencer="1", image_id=found)
        images = ImageLifecycle(self.catalog, RenditionStore(self.s3, self.renditions))
        claim = images.claim(owner, None, source, "2026-01-02T03:04:05Z")
        assert claim is not None
        thumb = f"{owner}/{found}/thumb.jpg"
        self.s3.put_object(Bucket=self.renditions, Key=thumb, Body=jpeg(scene(64, 96)))
        if status is not ImageStatus.DEVELOPING:
            images.finalize(
                claim,
                ImageRecord(
                    owner=owner,
                    image_id=found,
                    status=status,
                    source_keys=frozenset({key}),
                    listed_at="",
                    message="The file ends too early." if status is ImageStatus.REJECTED else None,
                    facts={"width": size[0], "height": size[1]},
                    renditions=(StoredRendition("thumb", "jpeg", 64, 96, 1, thumb),),
                ),
            )
        return found

    def keys(self, owner: str, wanted: str) -> list[str]:
        record = self.catalog.image(owner, wanted)
        assert record is not None
        return sorted(record.source_keys)


@pytest.fixture(scope="module")
def photos(cloud: Emulator) -> Photos:
    session, name = LocalSession(cloud.endpoint), f"t{uuid.uuid4().hex[:8]}"
    session.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "owner", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("owner", "item")
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    made = Photos(session, name, f"{name}-renditions")
    for bucket in (made.originals, made.renditions):
        session.client("s3").create_bucket(Bucket=bucket)
    return made


@pytest.fixture
def owner(factory: OrderFactory) -> str:
    return factory.user()


def ordered(
    factory: OrderFactory,
    orders: Orders,
    owner: str,
    status: OrderStatus,
    *images: str,
    **line: Any,
) -> Order:
    """An order of one print of each photo, moved to `status`."""
    product = f"t-{uuid.uuid4().hex[:12]}"
    Products(orders.database).offer(
        Product(product, "Test print", "matte", *SIZE_MM, PRICE_MINOR, "EUR"), 10
    )
    lines = tuple(NewLine(product, image, 1, **line) for image in images)
    order = orders.create(factory.new(owner, lines=lines))
    for step in PATHS[status]:
        order = orders.advance(order.id, step)
    return order


def now(orders: Orders, order: Order) -> Order:
    found = orders.get(order.id)
    assert found is not None
    return found


# -- validate-order


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
    assert (step.number, step.detail) == (2, {"warnings": []})
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
    warnings = orders.transitions(order.id)[-1].detail["warnings"]
    assert [text.split(":")[0] for text in warnings] == [
        "Line 2 (Test print)", "Line 3 (Test print)",
    ]  # fmt: skip
    assert "this photo has 120.3 on a print of 3 x 4 cm" in warnings[0]


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
