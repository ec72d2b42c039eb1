"""Takes the payment provider's notices and tells the lab what they tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.api import NOTICE_REFUSED, NoticeTaken
from services.payments.webhooks import (
    MalformedNotice,
    Notice,
    NoticeKind,
    StaleNotice,
    Webhook,
    WrongSignature,
)
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response
from services.platform.idempotency import IdempotencyStore


@dataclass(frozen=True)
class Notices:
    """`webhook` gives the opener; it is asked for late, since its secret has to be fetched."""

    webhook: Callable[[], Webhook]
    idempotency: IdempotencyStore
    sns: Any
    topic_arn: str

    def take(self, request: Request) -> Response:
        """Answers POST /payments/notices. A notice that comes again is taken and told of once."""
        try:
            notice = self.webhook().open(request.headers, request.raw_body, time.time())
        except (WrongSignature, StaleNotice, MalformedNotice) as error:
            log.logger().warning("notice-refused", reason=str(error))
            raise HttpProblem(NOTICE_REFUSED, str(error)) from None
        log.bind(notice_id=notice.id, order_id=notice.order_id)
        if notice.kind is NoticeKind.RECEIVED and notice.order_id is not None:
            key = f"notice#{notice.id}"
            self.idempotency.run_once(
                key, {"payment_id": notice.payment_id}, lambda: self._tell(notice)
            )
        return Response(200, NoticeTaken())

    def _tell(self, notice: Notice) -> None:
        publish(
            self.sns,
            self.topic_arn,
            order_event(
                OrderEventType.PAYMENT_RECEIVED,
                str(notice.order_id),
                charge_id=notice.payment_id,
                amount_minor=notice.amount_minor,
                currency=notice.currency,
            ),
        )
