"""validate-order: checks that the photos of an order exist and have enough pixels to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageStatus
from services.catalog.store import Catalog
from services.events.orders import OrderEventType, publish
from services.imaging.printing.geometry import check_resolution, shown_dpi
from services.imaging.printing.model import REFUSE_BELOW_DPI, WARN_BELOW_DPI, Resolution, Verdict
from services.orders.events import event_about
from services.orders.loading import advance, last_transition, load_active_order
from services.orders.model import FindingCode, Line, Order, OrderRejected, OrderStatus
from services.orders.print_files import print_spec
from services.orders.store import Orders
from services.platform.errors import TransientError
from services.platform.functions.task import Task


@dataclass(frozen=True)
class _Finding:
    """What is wrong with a line: `text` in English, and the fields of its `LineFinding`."""

    code: FindingCode
    text: str
    fields: Mapping[str, Any]


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
            found = [f for line in order.lines if (f := self._check(order, line)) is not None]
            mistakes = [f for f in found if f.code is not FindingCode.RESOLUTION_LOW]
            if mistakes:
                cause = " ".join(mistake.text for mistake in mistakes)
                detail: dict[str, Any] = {"findings": [dict(m.fields) for m in mistakes]}
                order = advance(self.orders, order, OrderStatus.REJECTED, cause, detail)
            else:
                detail = {
                    "warnings": [warning.text for warning in found],
                    "findings": [dict(warning.fields) for warning in found],
                }
                order = advance(self.orders, order, OrderStatus.VALIDATED, detail=detail)
        if order.status is OrderStatus.REJECTED:
            # No paper is reserved and no payment exists at this step.
            self.orders.settle(order.id, None)
            publish(self.sns, self.topic_arn, event_about(order, OrderEventType.REJECTED))
            raise OrderRejected(last_transition(self.orders, order).cause)
        return {"lines": len(order.lines)}

    def _check(self, order: Order, line: Line) -> _Finding | None:
        """Raises TransientError while the photo is still being developed."""
        record = self.catalog.image(order.user_id, line.image_id)
        if record is None or not record.visible:
            return _finding(
                line,
                FindingCode.PHOTO_NOT_FOUND,
                f"you have no photo {line.image_id}. Upload the photo and order again.",
            )
        if record.status is ImageStatus.DEVELOPING:
            raise TransientError(f"photo {line.image_id} is still being developed")
        if record.status is ImageStatus.REJECTED:
            text = f"the photo could not be developed. {record.message}"
            return _finding(line, FindingCode.PHOTO_REJECTED, text, reason=record.reason)
        resolution = check_resolution(
            record.facts["width"], record.facts["height"], print_spec(line)
        )
        return _low_resolution(line, resolution)


def _low_resolution(line: Line, resolution: Resolution) -> _Finding | None:
    if resolution.message is None:
        return None
    code, required = (
        (FindingCode.RESOLUTION_TOO_LOW, REFUSE_BELOW_DPI)
        if resolution.verdict is Verdict.TOO_LOW
        else (FindingCode.RESOLUTION_LOW, WARN_BELOW_DPI)
    )
    width, height = resolution.sharp_mm or (None, None)
    return _finding(
        line,
        code,
        resolution.message,
        dpi=shown_dpi(resolution.dpi),
        required_dpi=required,
        sharp_width_mm=width,
        sharp_height_mm=height,
    )


def _finding(line: Line, code: FindingCode, text: str, **values: Any) -> _Finding:
    known = {name: value for name, value in values.items() if value is not None}
    return _Finding(
        code,
        f"Line {line.number} ({line.product_name}): {text}",
        {"line": line.number, "code": code.value, **known},
    )
