"""notify-payment-declined: publishes order.payment_declined."""

from __future__ import annotations

from services.events.orders import OrderEventType
from services.orders.notification import Notification


class NotifyPaymentDeclined(Notification):
    """The NotifyPaymentDeclined task of the workflow."""

    event_type = OrderEventType.PAYMENT_DECLINED
