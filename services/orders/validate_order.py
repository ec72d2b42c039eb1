"""ValidateOrder: the photos are there and have pixels enough for what is printed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageStatus
from services.catalog.store import Catalog
from services.events.orders import OrderEventType, order_event, publish
from services.imaging.print_geometry import check_resolution
from services.imaging.print_model import Verdict
from services.orders.loading import advance, last_detail, order_under_way
from services.orders.model import Line, Order, OrderRejected, OrderStatus
from services.orders.prints import print_spec
from services.orders.store import Orders
from services.platform.errors import TransientError
from services.platform.functions.task import Task


@dataclass(frozen=True)
class ValidateOrder:
    """The step, with what it needs."""

    orders: Orders
    catalog: Catalog
    sns: Any
    topic_arn: str

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Takes the order to `validated`, with warnings for what will look soft.

        Raises OrderRejected with every mistake, and TransientError while a photo is still being
        developed.
        """
        order = order_under_way(self.orders, given)
        if order.status is OrderStatus.CREATED:
            checks = [self._check(order, line) for line in order.lines]
            mistakes = [text for verdict, text in checks if verdict is Verdict.TOO_LOW]
            warnings = [text for verdict, text in checks if verdict is Verdict.LOW]
            if mistakes:
                order = advance(self.orders, order, OrderStatus.REJECTED, " ".join(mistakes))
            else:
                order = advance(
                    self.orders, order, OrderStatus.VALIDATED, detail={"warnings": warnings}
                )
        if order.status is OrderStatus.REJECTED:
            # Nothing was reserved and no payment was opened.
            self.orders.settle(order.id, None)
            publish(self.sns, self.topic_arn, order_event(OrderEventType.REJECTED, order.id))
            raise OrderRejected(last_detail(self.orders, order)[0])
        return {"lines": len(order.lines)}

    def _check(self, order: Order, line: Line) -> tuple[Verdict, str]:
        record = self.catalog.image(order.user_id, line.image_id)
        what = f"Line {line.number} ({line.product_name}):"
        if record is None or not record.visible:
            return Verdict.TOO_LOW, (
                f"{what} expected a photo of yours, got {line.image_id}, which is none. Please "
                "upload it, and order again."
            )
        if record.status is ImageStatus.DEVELOPING:
            raise TransientError(f"photo {line.image_id} is still being developed")
        if record.status is ImageStatus.REJECTED:
            return Verdict.TOO_LOW, f"{what} the photo could not be developed. {record.message}"
        resolution = check_resolution(
            record.facts["width"], record.facts["height"], print_spec(line)
        )
        return resolution.verdict, f"{what} {resolution.message}"
