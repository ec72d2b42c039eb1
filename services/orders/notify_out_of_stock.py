"""notify-out-of-stock: publishes order.out_of_stock."""

from __future__ import annotations

from services.events.orders import OrderEventType
from services.orders.notification import Notification


class NotifyOutOfStock(Notification):
    """The NotifyOutOfStock task of the workflow."""

    event_type = OrderEventType.OUT_OF_STOCK
