"""Starts an order's workflow and tells that there is an order: after the order is committed, so
that neither ever runs ahead of it. What was cut off in between is done by the next who comes by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.model import Order
from services.orders.store import Orders
from services.platform import logging
from services.platform.clients import error_code

# An order that is younger may just be started by whoever made it.
CUT_OFF_AFTER = timedelta(seconds=60)
# Others' orders that one request starts along with its own.
TAKEN_ALONG_MAX = 3


@dataclass(frozen=True)
class Starter:
    """Starts orders, each once however often it is asked."""

    orders: Orders
    stepfunctions: Any
    sns: Any
    workflow_arn: str
    topic_arn: str

    def start(self, order: Order) -> None:
        """Starts the order's workflow, tells of the order, and notes that both is done."""
        try:
            self.stepfunctions.start_execution(
                stateMachineArn=self.workflow_arn,
                # The order's id as the name: a second execution of it is refused.
                name=order.id,
                input=json.dumps({"order_id": order.id}),
            )
        except self.stepfunctions.exceptions.ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise
        publish(self.sns, self.topic_arn, order_event(OrderEventType.CREATED, order.id))
        self.orders.mark_started(order.id)

    def start_cut_off(self, limit: int = TAKEN_ALONG_MAX) -> int:
        """Starts up to `limit` orders whose start was cut off; how many of them. When one cannot be
        started the rest wait for the next who comes by: whoever comes by has no part in it, and
        must not hear that their own order failed."""
        started = 0
        try:
            for order in self.orders.unstarted(datetime.now(UTC) - CUT_OFF_AFTER, limit):
                logging.logger().warning("order-started-late", order_id=order.id)
                self.start(order)
                started += 1
        except Exception:  # noqa: BLE001  whatever it is
            logging.logger().warning("order-not-started", exc_info=True)
        return started
