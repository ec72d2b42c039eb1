"""Starts the workflow of an order and publishes order.created.

Both happen after the order is committed, so neither can name an order that does not exist. A
process that dies in between leaves an order without `started_at`; start-orders resumes it within a
minute or two, or create-order does with the next order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.events.orders import OrderEventType, publish
from services.orders.events import event_about
from services.orders.model import Order
from services.orders.store import Orders
from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.configuration import variable

# The request that created a younger order may still be starting it.
INTERRUPTED_AFTER = timedelta(seconds=60)
# Interrupted orders that one request resumes.
RESUMED_PER_REQUEST_MAX = 3


@dataclass(frozen=True)
class WorkflowConfiguration:
    """Environment variables of a function that starts workflows."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")
    workflow_arn: str = variable("ORDER_WORKFLOW_ARN", help="state machine of an order")


@dataclass(frozen=True)
class WorkflowStarter:
    """Starts orders. Each order starts once, however often `start` is called."""

    orders: Orders
    stepfunctions: Any
    sns: Any
    workflow_arn: str
    topic_arn: str

    def start(self, order: Order) -> None:
        """Starts the workflow, publishes order.created, and records both in `started_at`."""
        try:
            self.stepfunctions.start_execution(
                stateMachineArn=self.workflow_arn,
                # Step Functions refuses a second execution with the same name.
                name=order.id,
                input=json.dumps({"order_id": order.id}),
            )
        except self.stepfunctions.exceptions.ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise
        publish(self.sns, self.topic_arn, event_about(order, OrderEventType.CREATED))
        self.orders.mark_started(order.id)

    def resume_interrupted(self, limit: int = RESUMED_PER_REQUEST_MAX) -> int:
        """Starts up to `limit` interrupted orders and returns how many it started.

        Logs a failure instead of raising it: the caller's own order is not affected.
        """
        started = 0
        try:
            for order in self.orders.unstarted(datetime.now(UTC) - INTERRUPTED_AFTER, limit):
                with log.correlated(order.id):
                    log.logger().warning("order_start_resumed", order_id=order.id)
                    self.start(order)
                started += 1
        except Exception:  # noqa: BLE001  start-orders tries again
            log.logger().warning("order_start_failed", exc_info=True)
        return started


def make_starter(
    configuration: WorkflowConfiguration, orders: Orders, stepfunctions: Any, sns: Any
) -> WorkflowStarter:
    """The starter for this configuration, with clients of Step Functions and SNS."""
    return WorkflowStarter(
        orders, stepfunctions, sns, configuration.workflow_arn, configuration.topic_arn
    )
