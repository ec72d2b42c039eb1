"""FulfillOrder: makes the print files and the job sheet of an order and hands them to the printer.

The original is the very version that the catalogue knows, checked against the image's identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus, image_id
from services.catalog.store import Catalog
from services.events.orders import OrderEventType, order_event, publish
from services.imaging.model import PhotoRejected
from services.imaging.print_file import make_print_file
from services.imaging.print_geometry import check_resolution, stand
from services.imaging.print_model import PrintRefused
from services.orders.loading import OrderEnded, advance, order_given, order_under_way
from services.orders.model import IllegalTransition, Line, Order, OrderStatus
from services.orders.print_files import JOB_SHEET, names, order_prefix, withdraw
from services.orders.prints import print_spec
from services.orders.store import Orders
from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.task import Task
from services.printing.job_sheet import JobLine, JobSheet, make_job_sheet

# A print of the largest original takes less; one that is begun with less left may be cut off.
LINE_RESERVE_SECONDS = 20.0
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion", "NotFound"})
_THUMBNAIL = "thumb"


class OriginalGone(PermanentError):  # noqa: N818  its name is read by people, in a state machine
    """The photo was deleted since it was ordered."""


class CannotPrint(PermanentError):  # noqa: N818
    """An original that was developed and checked cannot be printed after all."""


def file_name(line: Line) -> str:
    """`01-10x15-matte.jpg`. Product ids are the lab's own, and fit for a name."""
    return f"{line.number:02d}-{line.product_id}.jpg"


@dataclass(frozen=True)
class FulfillOrder:
    """The step, with what it needs."""

    orders: Orders
    catalog: Catalog
    s3: Any
    sns: Any
    originals_bucket: str
    renditions_bucket: str
    prints_bucket: str
    topic_arn: str

    def run(self, given: Mapping[str, Any], task: Task) -> dict[str, Any]:
        """Takes the order to `fulfilled`, its paper with it, and tells that it is on its way.

        Files that are there already are not made again. Raises OrderEnded for an order that was
        given up meanwhile, of which no files are left; OriginalGone and CannotPrint.
        """
        try:
            order = order_under_way(self.orders, given)
            if order.status is OrderStatus.PAID:
                self._make(order, task)
                order = advance(self.orders, order, OrderStatus.FULFILLED)
        except OrderEnded:
            withdraw(self.s3, self.prints_bucket, order_given(self.orders, given))
            raise
        if order.status not in (OrderStatus.FULFILLED, OrderStatus.SHIPPED):
            raise IllegalTransition(order.id, order.status, OrderStatus.FULFILLED)
        publish(self.sns, self.topic_arn, order_event(OrderEventType.SHIPPED, order.id))
        return {"prints": f"s3://{self.prints_bucket}/{order_prefix(order)}"}

    def _make(self, order: Order, task: Task) -> None:
        records = {
            wanted: self._record(order, wanted)
            for wanted in dict.fromkeys(line.image_id for line in order.lines)
        }
        there = names(self.s3, self.prints_bucket, order)
        content: tuple[str, bytes] = "", b""
        for line in sorted(order.lines, key=lambda line: line.image_id):
            if file_name(line) in there:
                continue
            if task.message.seconds_left() < LINE_RESERVE_SECONDS:
                # What is made stays made, and the next delivery goes on from there.
                raise TransientError(f"too little time left for line {line.number}")
            if content[0] != line.image_id:
                content = line.image_id, self._original(order, records[line.image_id])
            self._put(order, file_name(line), _print(line, content[1]), "image/jpeg")
        sheet = self._job_sheet(order, records)
        self._put(order, JOB_SHEET, sheet, "application/pdf")
        log.logger().info("prints-made", lines=len(order.lines), made_before=len(there))

    def _record(self, order: Order, wanted: str) -> ImageRecord:
        record = self.catalog.image(order.user_id, wanted)
        if record is None:
            raise OriginalGone(f"photo {wanted} was deleted since it was ordered")
        if record.status is ImageStatus.DEVELOPING:
            # Deleted since, and uploaded again.
            raise TransientError(f"photo {wanted} is still being developed")
        return record

    def _original(self, order: Order, record: ImageRecord) -> bytes:
        """The photo's bytes, out of any of the originals that it was uploaded as."""
        sources = self.catalog.sources(order.user_id, sorted(record.source_keys))
        for source in sorted(sources, key=lambda source: source.key):
            version = {"VersionId": source.version_id} if source.version_id else {}
            try:
                answer = self.s3.get_object(Bucket=self.originals_bucket, Key=source.key, **version)
            except self.s3.exceptions.ClientError as error:
                if error_code(error) in _MISSING:
                    continue
                raise
            with answer["Body"] as body:
                content: bytes = body.read()
            if image_id(content) == record.image_id:
                return content
        raise OriginalGone(
            f"photo {record.image_id} has no original any more that is still that photo"
        )

    def _job_sheet(self, order: Order, records: Mapping[str, ImageRecord]) -> bytes:
        return make_job_sheet(
            JobSheet(
                order_number=order.id,
                ordered_on=order.created_at.date(),
                customer=order.delivery.name,
                lines=tuple(self._job_line(line, records[line.image_id]) for line in order.lines),
            )
        )

    def _job_line(self, line: Line, record: ImageRecord) -> JobLine:
        size = record.facts["width"], record.facts["height"]
        resolution = check_resolution(*size, print_spec(line))
        sheet = stand(*size, print_spec(line))
        return JobLine(
            thumbnail=self._thumbnail(record),
            product=line.product_name,
            width_mm=sheet.width_mm,
            height_mm=sheet.height_mm,
            paper=line.paper,
            quantity=line.quantity,
            file_name=file_name(line),
            dpi=resolution.dpi,
            warning=resolution.message,
        )

    def _thumbnail(self, record: ImageRecord) -> bytes | None:
        keys = [r.key for r in record.renditions if r.name == _THUMBNAIL and not r.animated]
        if not keys:
            return None
        try:
            answer = self.s3.get_object(Bucket=self.renditions_bucket, Key=keys[0])
        except self.s3.exceptions.ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        with answer["Body"] as body:
            content: bytes = body.read()
        return content

    def _put(self, order: Order, name: str, content: bytes, content_type: str) -> None:
        self.s3.put_object(
            Bucket=self.prints_bucket,
            Key=order_prefix(order) + name,
            Body=content,
            ContentType=content_type,
            Metadata={"sha256": hashlib.sha256(content).hexdigest()},
        )


def _print(line: Line, original: bytes) -> bytes:
    try:
        return make_print_file(original, print_spec(line)).data
    except (PhotoRejected, PrintRefused) as error:
        raise CannotPrint(f"line {line.number}: {error}") from error
