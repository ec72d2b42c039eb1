"""Requests for e-mails that prove access to an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.accounts.address_codes import Purpose
from services.accounts.email_limits import EmailLimit
from services.events.accounts import AccountEventType, account_event, publish
from services.platform import log

_EVENTS: Mapping[Purpose, AccountEventType] = {
    Purpose.SIGN_UP: AccountEventType.SIGN_UP_REQUESTED,
    Purpose.PASSWORD_RESET: AccountEventType.PASSWORD_RESET_REQUESTED,
}


@dataclass(frozen=True)
class EmailRequests:
    """Publishes requests, within limits.

    It reads no account, so answer and duration are the same whether the address has one.
    """

    sns: Any
    topic_arn: str
    limit: EmailLimit

    def request(self, purpose: Purpose, email: str, address: str) -> None:
        """Requests the e-mail for a client at the IP address `address`. Raises HttpProblem 429."""
        event = account_event(_EVENTS[purpose], email)
        with self.limit.email(purpose, email, address):
            publish(self.sns, self.topic_arn, event)
        log.logger().info("account_email_requested", purpose=purpose.value, event_id=event.id)
