"""fulfill-order: writes the print files and the job sheet of an order to the prints bucket.

It reads the version of the original that the catalogue records, and checks its content against the
photo's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus, image_id
from services.catalog.store import Catalog
from services.events.orders import OrderEventType, publish
from services.imaging.model import PhotoRejected
from services.imaging.printing.geometry import check_resolution, orient_sheet
from services.imaging.printing.model import PrintRefused
from services.imaging.printing.print_file import make_print_file
from services.orders.events import event_about
from services.orders.loading import OrderEnded, advance, load_active_order, load_order
from services.orders.model import IllegalTransition, Line, Order, OrderStatus
from services.orders.print_files import (
    JOB_SHEET,
    delete_files,
    file_name,
    list_files,
    order_prefix,
    print_spec,
)
from services.orders.store import Orders
from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.task import Task
from services.printing.job_sheet import JobLine, JobSheet, make_job_sheet

# The print of the largest original takes less than this.
LINE_RESERVE_SECONDS = 20.0
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion", "NotFound"})
_THUMBNAIL = "thumb"


class OriginalGone(PermanentError):  # noqa: N818  the state machine reports errors by class name
    """The photo was deleted after it was ordered."""


class CannotPrint(PermanentError):  # noqa: N818
    """An original that validate-order accepted cannot be printed."""


@dataclass(frozen=True)
class FulfillOrder:
    """The FulfillOrder task of the workflow."""

    orders: Orders
    catalog: Catalog
    s3: Any
    sns: Any
    originals_bucket: str
    renditions_bucket: str
    prints_bucket: str
    topic_arn: str

    def handle(self, task_input: Mapping[str, Any], task: Task) -> dict[str, Any]:
        """Moves the order to `fulfilled`, uses up its paper and publishes order.shipped. Returns
        the S3 prefix of its files; existing files are not made again.

        Raises OrderEnded for an order that was cancelled or has failed, after it deleted the files;
        OriginalGone; CannotPrint; TransientError when the time left is too short for a print.
        """
        try:
            order = load_active_order(self.orders, task_input)
            if order.status is OrderStatus.PAID:
                self._make(order, task)
                order = advance(self.orders, order, OrderStatus.FULFILLED)
        except OrderEnded:
            delete_files(self.s3, self.prints_bucket, load_order(self.orders, task_input))
            raise
        if order.status not in (OrderStatus.FULFILLED, OrderStatus.SHIPPED):
            raise IllegalTransition(order.id, order.status, OrderStatus.FULFILLED)
        publish(self.sns, self.topic_arn, event_about(order, OrderEventType.SHIPPED))
        return {"prints": f"s3://{self.prints_bucket}/{order_prefix(order)}"}

    def _make(self, order: Order, task: Task) -> None:
        records = {
            wanted: self._record(order, wanted)
            for wanted in dict.fromkeys(line.image_id for line in order.lines)
        }
        existing = list_files(self.s3, self.prints_bucket, order)
        content: tuple[str, bytes] = "", b""
        for line in sorted(order.lines, key=lambda line: line.image_id):
            if file_name(line) in existing:
                continue
            if task.message.seconds_left() < LINE_RESERVE_SECONDS:
                # The next delivery of the message goes on with this line.
                raise TransientError(
                    f"less than {LINE_RESERVE_SECONDS:g} s left for line {line.number}"
                )
            if content[0] != line.image_id:
                content = line.image_id, self._original(order, records[line.image_id])
            self._put(order, file_name(line), _print(line, content[1]), "image/jpeg")
        sheet = self._job_sheet(order, records)
        self._put(order, JOB_SHEET, sheet, "application/pdf")
        log.logger().info("print_files_written", lines=len(order.lines), existing=len(existing))

    def _record(self, order: Order, wanted: str) -> ImageRecord:
        record = self.catalog.image(order.user_id, wanted)
        if record is None:
            raise OriginalGone(f"photo {wanted} was deleted after it was ordered")
        if record.status is ImageStatus.DEVELOPING:
            # Deleted and uploaded again after it was ordered.
            raise TransientError(f"photo {wanted} is still being developed")
        return record

    def _original(self, order: Order, record: ImageRecord) -> bytes:
        """The photo's bytes. It may have been uploaded several times; one original suffices."""
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
            f"no original of photo {record.image_id} exists with its content unchanged"
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
        sheet = orient_sheet(*size, print_spec(line))
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
