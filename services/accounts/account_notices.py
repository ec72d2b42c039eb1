"""Notices about changes of an account, which reach its owner by e-mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.events.accounts import AccountEventType, account_event, publish
from services.platform import log
from services.platform.aws.errors import is_transient
from services.platform.errors import TransientError


@dataclass(frozen=True)
class AccountNotices:
    """Publishes notices to the topic of account events. `sns` makes the client, which few
    invocations need."""

    sns: Callable[[], Any]
    topic_arn: str

    def send(self, type_: AccountEventType, email: str) -> None:
        """Publishes a notice to the address. The change has been made, so an outage is logged and
        not raised."""
        event = account_event(type_, email)
        try:
            publish(self.sns(), self.topic_arn, event)
        except Exception as error:
            if not (isinstance(error, TransientError) or is_transient(error)):
                raise
            log.logger().error("account_notice_failed", notice=type_.value, event_id=event.id)
