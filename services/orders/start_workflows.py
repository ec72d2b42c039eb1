"""Starts an order's workflow and tells that there is an order: after the order is committed, so
that neither ever runs ahead of it. What was cut off in between is done by start-orders, time after
time, or by the next who comes by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.events.schedules import check_scheduled
from services.orders.model import Order
from services.orders.store import Orders
from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.configuration import variable
from services.platform.functions.sqs import Message

# An order that is younger may just be started by whoever made it.
CUT_OFF_AFTER = timedelta(seconds=60)
# Others' orders that one request starts along with its own.
TAKEN_ALONG_MAX = 3
# Orders that one sweep starts.
SWEEP_MAX = 100
# No start is begun with less time left: three tries of a call that is not answered take 50 s.
SWEEP_RESERVE_SECONDS = 60


@dataclass(frozen=True)
class StartingConfiguration:
    """What a function that starts orders reads from its environment."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    workflow_arn: str = variable("ORDER_WORKFLOW_ARN", help="the order's state machine")


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
                log.logger().warning("order-started-late", order_id=order.id)
                self.start(order)
                started += 1
        except Exception:  # noqa: BLE001  whatever it is
            log.logger().warning("order-not-started", exc_info=True)
        return started


@dataclass(frozen=True)
class StartOrders:
    """The job of start-orders: a sweep after orders whose start was cut off, at each message."""

    orders: Orders
    start: Callable[[Order], None]

    def handle(self, message: Message) -> None:
        """Starts such orders, the oldest first, as many as `SWEEP_MAX` and the time that is left
        allow. One that cannot be started does not hold up the others.

        What failed is logged as an error, and the next message of the schedule tries it again: this
        one would only do the same beside it when it came back, and as a dead letter it would hold
        nothing to replay. Raises PermanentError for what is no message of a schedule.
        """
        check_scheduled(message.body)
        logger = log.logger()
        try:
            found = self.orders.unstarted(datetime.now(UTC) - CUT_OFF_AFTER, SWEEP_MAX)
        except Exception:
            logger.exception("orders-not-looked-for")
            return
        for number, order in enumerate(found):
            if message.seconds_left() < SWEEP_RESERVE_SECONDS:
                logger.warning("orders-left-for-later", count=len(found) - number)
                return
            try:
                self.start(order)
            except Exception:
                logger.exception("order-not-started", order_id=order.id)
            else:
                logger.warning("order-started-late", order_id=order.id)


def make_starter(
    configuration: StartingConfiguration, orders: Orders, stepfunctions: Any, sns: Any
) -> Starter:
    """The starter that the configuration describes, through clients of both services."""
    return Starter(orders, stepfunctions, sns, configuration.workflow_arn, configuration.topic_arn)
