"""Photos of an order in the catalogue and their originals."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from services.catalog.lifecycle import ImageLifecycle
from services.catalog.model import ImageRecord, ImageStatus, Source, StoredRendition, image_id
from services.catalog.renditions import RenditionStore
from services.catalog.store import Catalog
from services.local.aws_session import LocalSession
from services.orders.model import (
    NewLine,
    Order,
    OrderStatus,
    Product,
)
from services.orders.products import Products
from services.orders.store import Orders
from services.platform.functions.sqs import Message
from services.platform.functions.task import Task
from tests.integration.orders.environment import PATHS, PRICE_MINOR, OrderFactory
from tests.support.photos import jpeg, scene

SIZE_MM = (30, 40)
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
                    reason="truncated" if status is ImageStatus.REJECTED else None,
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
