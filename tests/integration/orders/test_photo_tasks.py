"""ValidateOrder and FulfillOrder with a real catalogue and real storage: photos that are there,
deleted, replaced, too small or damaged, and prints to the pixel."""

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
from tests.integration.orders.conftest import PRICE_MINOR, WAYS, Desk, Town
from tests.support.photos import jpeg, scene

SIZE_MM = (30, 40)
# With 3 mm of bleed all around, at 300 dpi.
PORTRAIT_PX, LANDSCAPE_PX = (425, 543), (543, 425)
# Of such a print: 200, 120 and 80 dpi.
GOOD_PX, SOFT_PX, SMALL_PX = (284, 363), (171, 218), (114, 145)
CREATED, PAID, FULFILLED = OrderStatus.CREATED, OrderStatus.PAID, OrderStatus.FULFILLED


def task(seconds_left: float = 900) -> Task:
    message = Message("m", "", 1, False, time.monotonic() + seconds_left)
    return Task("token", "State", 900, message)


@dataclass(frozen=True)
class Album:
    """The photos of customers: the catalogue and what it tells of."""

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
        """A photo, as process-image leaves it; its id."""
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
def album(cloud: Emulator) -> Album:
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
    made = Album(session, name, f"{name}-renditions")
    for bucket in (made.originals, made.renditions):
        session.client("s3").create_bucket(Bucket=bucket)
    return made


@pytest.fixture
def owner(desk: Desk) -> str:
    return desk.user()


def ordered(
    desk: Desk, orders: Orders, owner: str, status: OrderStatus, *images: str, **line: Any
) -> Order:
    """An order of one print of each image, gone its way to `status`."""
    product = f"t-{uuid.uuid4().hex[:12]}"
    Products(orders.database).offer(
        Product(product, "Test print", "matte", *SIZE_MM, PRICE_MINOR, "EUR"), 10
    )
    lines = tuple(NewLine(product, image, 1, **line) for image in images)
    order = orders.create(desk.new(owner, lines=lines))
    for step in WAYS[status]:
        order = orders.advance(order.id, step)
    return order


def now(orders: Orders, order: Order) -> Order:
    found = orders.get(order.id)
    assert found is not None
    return found


# -- ValidateOrder


@pytest.fixture
def validate(orders: Orders, album: Album, town: Town) -> ValidateOrder:
    return ValidateOrder(orders, album.catalog, town.sns, town.topic_arn)


def test_photos_with_pixels_enough_are_good(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, validate: ValidateOrder
) -> None:
    images = [album.add(owner, jpeg(scene(64, 96, seed=n)), GOOD_PX) for n in (1, 2)]
    order = ordered(desk, orders, owner, CREATED, *images, images[0])
    for _ in range(2):
        assert validate.handle({"order_id": order.id}, task()) == {"lines": 3}
    assert now(orders, order).status is OrderStatus.VALIDATED
    *_, step = orders.transitions(order.id)
    assert (step.number, step.detail) == (2, {"warnings": []})
    assert town.heard(order.id) == []


def test_what_will_look_soft_is_told_before(
    desk: Desk, orders: Orders, album: Album, owner: str, validate: ValidateOrder
) -> None:
    sharp = album.add(owner, b"sharp", GOOD_PX)
    soft = album.add(owner, b"soft", SOFT_PX)
    # Lying, it is as large as it stands upright.
    lying = album.add(owner, b"lying", (SOFT_PX[1], SOFT_PX[0]))
    order = ordered(desk, orders, owner, CREATED, sharp, soft, lying)
    validate.handle({"order_id": order.id}, task())
    warnings = orders.transitions(order.id)[-1].detail["warnings"]
    assert [text.split(":")[0] for text in warnings] == [
        "Line 2 (Test print)", "Line 3 (Test print)",
    ]  # fmt: skip
    assert "this photo has 120.3 on a print of 3 x 4 cm" in warnings[0]


def test_the_way_a_print_stands_decides_as_well(
    desk: Desk, orders: Orders, album: Album, owner: str, validate: ValidateOrder
) -> None:
    image = album.add(owner, b"upright", SOFT_PX)
    order = ordered(desk, orders, owner, CREATED, image, orientation=Orientation.LANDSCAPE)
    with pytest.raises(OrderRejected, match="Line 1"):
        validate.handle({"order_id": order.id}, task())


def test_every_photo_that_cannot_be_printed_is_named(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, validate: ValidateOrder
) -> None:
    good, small = album.add(owner, b"good"), album.add(owner, b"small", SMALL_PX)
    broken = album.add(owner, b"broken", status=ImageStatus.REJECTED)
    anothers, deleted, none = album.add(desk.user(), b"a"), album.add(owner, b"d"), "0" * 32
    album.catalog.hide(owner, deleted)
    images = [good, small, broken, anothers, deleted, none]
    order = ordered(desk, orders, owner, CREATED, *images)
    said = []
    for _ in range(2):
        with pytest.raises(OrderRejected) as caught:
            validate.handle({"order_id": order.id}, task())
        said.append(str(caught.value))
    assert said[0] == said[1] == orders.transitions(order.id)[-1].cause
    for number, text in (
        (2, "this photo has 80 on"),
        (3, "The file ends too early."),
        (4, anothers),
    ):
        assert f"Line {number} (Test print): " in said[0]
        assert text in said[0]
    assert "Line 1" not in said[0]
    # A photo of another's, one that is deleted and none at all are the same to the customer.
    assert said[0].count("you have no photo") == 3
    found = now(orders, order)
    assert (found.status, found.refund_id) == (OrderStatus.REJECTED, None)
    assert found.settled_at is not None
    heard = town.heard(order.id)
    assert {event.type for event in heard} == {OrderEventType.REJECTED}
    assert len({event.id for event in heard}) == 1


def test_a_photo_that_is_being_developed_is_waited_for(
    desk: Desk, orders: Orders, album: Album, owner: str, validate: ValidateOrder
) -> None:
    content = b"developing"
    image = album.add(owner, content, status=ImageStatus.DEVELOPING)
    order = ordered(desk, orders, owner, CREATED, album.add(owner, b"good"), image)
    with pytest.raises(TransientError, match="still being developed"):
        validate.handle({"order_id": order.id}, task())
    assert now(orders, order).status is CREATED
    album.add(owner, content)
    assert validate.handle({"order_id": order.id}, task()) == {"lines": 2}


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.FAILED])
def test_no_photo_is_looked_at_for_an_order_that_was_given_up(
    desk: Desk, orders: Orders, owner: str, validate: ValidateOrder, status: OrderStatus
) -> None:
    order = ordered(desk, orders, owner, status, "0" * 32)
    with pytest.raises(OrderEnded):
        validate.handle({"order_id": order.id}, task())
    assert now(orders, order) == order


@pytest.mark.parametrize("status", [OrderStatus.VALIDATED, OrderStatus.RESERVED, PAID, FULFILLED])
def test_a_late_copy_of_the_task_changes_nothing(
    desk: Desk, orders: Orders, owner: str, validate: ValidateOrder, status: OrderStatus
) -> None:
    """Also when the photo is gone by now."""
    order = ordered(desk, orders, owner, status, "0" * 32)
    assert validate.handle({"order_id": order.id}, task()) == {"lines": 1}
    assert now(orders, order) == order


# -- FulfillOrder


@pytest.fixture
def fulfill(orders: Orders, album: Album, town: Town) -> FulfillOrder:
    return FulfillOrder(
        orders=orders,
        catalog=album.catalog,
        s3=town.s3,
        sns=town.sns,
        originals_bucket=album.originals,
        renditions_bucket=album.renditions,
        prints_bucket=town.prints_bucket,
        topic_arn=town.topic_arn,
    )


def content_of(town: Town, order: Order, name: str) -> bytes:
    answer = town.s3.get_object(Bucket=town.prints_bucket, Key=order_prefix(order) + name)
    content = answer["Body"].read()
    assert isinstance(content, bytes)
    return content


def print_name(order: Order, number: int = 1) -> str:
    return f"{number:02d}-{order.lines[0].product_id}.jpg"


def test_prints_are_made_to_the_pixel_and_the_paper_is_used_up(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    upright = album.add(owner, jpeg(scene(*GOOD_PX)))
    lying = album.add(owner, jpeg(scene(GOOD_PX[1], GOOD_PX[0])), (GOOD_PX[1], GOOD_PX[0]))
    order = ordered(desk, orders, owner, PAID, lying, upright, lying)
    product = order.lines[0].product_id
    assert fulfill.handle({"order_id": order.id}, task()) == {
        "prints": f"s3://{town.prints_bucket}/{order_prefix(order)}"
    }
    files = [print_name(order, number) for number in (1, 2, 3)]
    assert list_files(town.s3, town.prints_bucket, order) == {*files, JOB_SHEET}
    for name, size in zip(files, (LANDSCAPE_PX, PORTRAIT_PX, LANDSCAPE_PX), strict=True):
        with Image.open(io.BytesIO(content_of(town, order, name))) as image:
            assert (image.size, image.info["dpi"]) == (size, (300, 300))
    assert content_of(town, order, JOB_SHEET).startswith(b"%PDF-")
    assert now(orders, order).status is FULFILLED
    assert desk.assert_balanced(orders, product, 10).sold == 3
    (event,) = town.heard(order.id)
    assert event.type is OrderEventType.SHIPPED


def test_a_repetition_prints_nothing_again(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    order = ordered(desk, orders, owner, PAID, album.add(owner, jpeg(scene(*GOOD_PX))))
    first = fulfill.handle({"order_id": order.id}, task())
    listed = town.s3.list_objects_v2(Bucket=town.prints_bucket, Prefix=order_prefix(order))
    # The answer was lost; and the original is gone by now.
    for key in album.keys(owner, order.lines[0].image_id):
        album.s3.delete_object(Bucket=album.originals, Key=key)
    assert fulfill.handle({"order_id": order.id}, task()) == first
    again = town.s3.list_objects_v2(Bucket=town.prints_bucket, Prefix=order_prefix(order))
    assert again["Contents"] == listed["Contents"]
    assert desk.assert_balanced(orders, order.lines[0].product_id, 10).sold == 1
    assert len({event.id for event in town.heard(order.id)}) == 1


def test_what_a_dead_worker_made_is_not_made_again(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    image = album.add(owner, jpeg(scene(*GOOD_PX)))
    order = ordered(desk, orders, owner, PAID, image, image)
    key = order_prefix(order) + print_name(order)
    town.s3.put_object(Bucket=town.prints_bucket, Key=key, Body=b"made before")
    fulfill.handle({"order_id": order.id}, task())
    assert content_of(town, order, print_name(order)) == b"made before"
    assert content_of(town, order, print_name(order, 2)).startswith(b"\xff\xd8")


def test_nothing_is_begun_that_could_be_cut_off(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    order = ordered(desk, orders, owner, PAID, album.add(owner, jpeg(scene(*GOOD_PX))))
    with pytest.raises(TransientError, match="s left for line 1"):
        fulfill.handle({"order_id": order.id}, task(seconds_left=5))
    assert now(orders, order).status is PAID
    assert list_files(town.s3, town.prints_bucket, order) == frozenset()
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED


def test_a_photo_is_printed_from_any_original_that_is_still_it(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    content = jpeg(scene(*GOOD_PX))
    image = album.add(owner, content)
    assert album.add(owner, content) == image
    first, second = album.keys(owner, image)
    # Overwritten since, and the catalogue does not know yet.
    album.s3.put_object(Bucket=album.originals, Key=first, Body=jpeg(scene(64, 96)))
    order = ordered(desk, orders, owner, PAID, image)
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED
    # The other one is gone as well: nothing but that very photo is printed.
    album.s3.delete_object(Bucket=album.originals, Key=second)
    late = ordered(desk, orders, owner, PAID, image)
    with pytest.raises(OriginalGone, match="no original of photo"):
        fulfill.handle({"order_id": late.id}, task())
    assert now(orders, late).status is PAID
    assert JOB_SHEET not in list_files(town.s3, town.prints_bucket, late)


def test_a_photo_that_was_deleted_since_cannot_be_printed(
    desk: Desk, orders: Orders, album: Album, owner: str, fulfill: FulfillOrder
) -> None:
    there = album.add(owner, jpeg(scene(*GOOD_PX)))
    for gone in ("0" * 32, album.add(desk.user(), b"another's")):
        order = ordered(desk, orders, owner, PAID, there, gone)
        with pytest.raises(OriginalGone, match=f"photo {gone} was deleted"):
            fulfill.handle({"order_id": order.id}, task())


def test_a_photo_that_is_developed_anew_is_waited_for(
    desk: Desk, orders: Orders, album: Album, owner: str, fulfill: FulfillOrder
) -> None:
    """Deleted since it was ordered, and uploaded again."""
    content = jpeg(scene(*GOOD_PX))
    image = album.add(owner, content, status=ImageStatus.DEVELOPING)
    order = ordered(desk, orders, owner, PAID, image)
    with pytest.raises(TransientError, match="still being developed"):
        fulfill.handle({"order_id": order.id}, task())
    album.add(owner, content)
    fulfill.handle({"order_id": order.id}, task())
    assert now(orders, order).status is FULFILLED


def test_an_original_that_cannot_be_read_ends_the_order(
    desk: Desk, orders: Orders, album: Album, owner: str, fulfill: FulfillOrder
) -> None:
    order = ordered(desk, orders, owner, PAID, album.add(owner, jpeg(scene(*GOOD_PX))[:2000]))
    with pytest.raises(CannotPrint, match="line 1"):
        fulfill.handle({"order_id": order.id}, task())


def test_a_job_sheet_without_its_thumbnail_is_one_as_well(
    desk: Desk, orders: Orders, album: Album, town: Town, owner: str, fulfill: FulfillOrder
) -> None:
    image = album.add(owner, jpeg(scene(*GOOD_PX)))
    album.s3.delete_object(Bucket=album.renditions, Key=f"{owner}/{image}/thumb.jpg")
    order = ordered(desk, orders, owner, PAID, image)
    fulfill.handle({"order_id": order.id}, task())
    assert content_of(town, order, JOB_SHEET).startswith(b"%PDF-")


@dataclass(frozen=True)
class Meanwhile:
    """S3, and the customer who cancels while a file of a certain kind is written."""

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
def test_nothing_is_left_for_the_printer_of_an_order_that_is_cancelled_meanwhile(
    desk: Desk,
    orders: Orders,
    album: Album,
    town: Town,
    owner: str,
    fulfill: FulfillOrder,
    at: str,
) -> None:
    order = ordered(desk, orders, owner, PAID, album.add(owner, jpeg(scene(*GOOD_PX))))
    step = dataclasses.replace(fulfill, s3=Meanwhile(town.s3, desk.orders(), order.id, at))
    for _ in range(2):
        with pytest.raises(OrderEnded):
            step.handle({"order_id": order.id}, task())
    assert list_files(town.s3, town.prints_bucket, order) == frozenset()
    assert now(orders, order).status is OrderStatus.CANCELLED
    level = desk.assert_balanced(orders, order.lines[0].product_id, 10)
    assert (level.sold, level.reserved) == (0, 0)
    assert town.heard(order.id) == []


@pytest.mark.parametrize(
    "status",
    [status for status in WAYS if status not in (PAID, FULFILLED, OrderStatus.SHIPPED)],
)
def test_nothing_is_printed_that_is_not_paid(
    desk: Desk, orders: Orders, town: Town, owner: str, fulfill: FulfillOrder, status: OrderStatus
) -> None:
    order = ordered(desk, orders, owner, status, "0" * 32)
    given_up = status in (OrderStatus.CANCELLED, OrderStatus.FAILED)
    with pytest.raises(OrderEnded if given_up else IllegalTransition):
        fulfill.handle({"order_id": order.id}, task())
    assert list_files(town.s3, town.prints_bucket, order) == frozenset()
    assert now(orders, order) == order
