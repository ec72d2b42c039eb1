"""start-orders: starts orders whose start was interrupted, once a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.events.schedules import check_scheduled
from services.orders.model import Order
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.platform import log
from services.platform.functions.sqs import Message

# Orders that one invocation starts.
STARTED_PER_RUN_MAX = 100
# A start may take three attempts of one call, 50 s, before it fails.
START_RESERVE_SECONDS = 60


@dataclass(frozen=True)
class StartOrders:
    """Starts interrupted orders at each message of the schedule."""

    orders: Orders
    start: Callable[[Order], None]

    def handle(self, message: Message) -> None:
        """Starts interrupted orders, the oldest first, up to `STARTED_PER_RUN_MAX` and while more
        than `START_RESERVE_SECONDS` are left. One failure does not stop the others.

        Failures are logged as errors and not raised: the next message of the schedule tries again,
        and a dead letter would hold nothing worth a replay. Raises PermanentError for a message
        that no schedule sent.
        """
        check_scheduled(message.body)
        logger = log.logger()
        try:
            found = self.orders.unstarted(
                datetime.now(UTC) - INTERRUPTED_AFTER, STARTED_PER_RUN_MAX
            )
        except Exception:
            logger.exception("interrupted_order_search_failed")
            return
        for number, order in enumerate(found):
            if message.seconds_left() < START_RESERVE_SECONDS:
                logger.warning("order_starts_deferred", count=len(found) - number)
                return
            with log.correlated(order.id):
                try:
                    self.start(order)
                except Exception:
                    logger.exception("order_start_failed", order_id=order.id)
                else:
                    logger.warning("order_start_resumed", order_id=order.id)
