"""receive-payment: answers POST /payments/notices, the webhook of the payment provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.api import NOTICE_REFUSED, NoticeReceived
from services.payments.webhooks import (
    InvalidSignature,
    MalformedWebhook,
    StaleWebhook,
    WebhookEvent,
    WebhookEventType,
    WebhookReader,
)
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response
from services.platform.idempotency import IdempotencyStore


@dataclass(frozen=True)
class ReceivePayment:
    """Publishes payment.received for the provider's webhook events.

    `reader` returns the reader of webhooks; it is called late, since it fetches a secret.
    """

    reader: Callable[[], WebhookReader]
    idempotency: IdempotencyStore
    sns: Any
    topic_arn: str

    def handle(self, request: Request) -> Response:
        """Returns 200. A webhook event that arrives again publishes nothing.

        Raises HttpProblem (400) for a request that the provider did not sign, signed too long ago,
        or that has no known form.
        """
        try:
            event = self.reader().read(request.headers, request.raw_body, time.time())
        except (InvalidSignature, StaleWebhook, MalformedWebhook) as error:
            log.logger().warning("notice_refused", reason=str(error))
            raise HttpProblem(NOTICE_REFUSED, str(error)) from None
        log.bind(notice_id=event.id, order_id=event.order_id)
        if event.order_id is not None:
            log.correlate(event.order_id)
        if event.type is WebhookEventType.RECEIVED and event.order_id is not None:
            order_id = event.order_id
            self.idempotency.run_once(
                f"notice#{event.id}",
                {"payment_id": event.payment_id},
                lambda: self._publish(event, order_id),
            )
        return Response(200, NoticeReceived())

    def _publish(self, event: WebhookEvent, order_id: str) -> None:
        publish(
            self.sns,
            self.topic_arn,
            order_event(
                OrderEventType.PAYMENT_RECEIVED,
                order_id,
                charge_id=event.payment_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
            ),
        )
