"""validate-order: checks that the photos of an order exist and have enough pixels to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageStatus
from services.catalog.store import Catalog
from services.events.orders import OrderEventType, publish
from services.imaging.printing.geometry import check_resolution
from services.imaging.printing.model import Verdict
from services.orders.events import event_about
from services.orders.loading import advance, last_transition, load_active_order
from services.orders.model import Line, Order, OrderRejected, OrderStatus
from services.orders.print_files import print_spec
from services.orders.store import Orders
from services.platform.errors import TransientError
from services.platform.functions.task import Task


@dataclass(frozen=True)
class ValidateOrder:
    """The ValidateOrder task of the workflow."""

    orders: Orders
    catalog: Catalog
    sns: Any
    topic_arn: str

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Moves the order to `validated`, with a warning for each print that will look soft, and
        returns its number of lines.

        Raises OrderRejected with every mistake, after it moved the order to `rejected`; OrderEnded;
        TransientError while a photo is still being developed.
        """
        order = load_active_order(self.orders, task_input)
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
            # No paper is reserved and no payment exists at this step.
            self.orders.settle(order.id, None)
            publish(self.sns, self.topic_arn, event_about(order, OrderEventType.REJECTED))
            raise OrderRejected(last_transition(self.orders, order).cause)
        return {"lines": len(order.lines)}

    def _check(self, order: Order, line: Line) -> tuple[Verdict, str]:
        record = self.catalog.image(order.user_id, line.image_id)
        prefix = f"Line {line.number} ({line.product_name}):"
        if record is None or not record.visible:
            return Verdict.TOO_LOW, (
                f"{prefix} you have no photo {line.image_id}. Upload the photo and order again."
            )
        if record.status is ImageStatus.DEVELOPING:
            raise TransientError(f"photo {line.image_id} is still being developed")
        if record.status is ImageStatus.REJECTED:
            return Verdict.TOO_LOW, f"{prefix} the photo could not be developed. {record.message}"
        resolution = check_resolution(
            record.facts["width"], record.facts["height"], print_spec(line)
        )
        return resolution.verdict, f"{prefix} {resolution.message}"
