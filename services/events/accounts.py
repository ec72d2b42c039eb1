"""Events of accounts, on the topic account-events: what a person asked for, or what was changed.

The events hold the address and nothing secret: the function that sends the e-mail makes its code.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.cloudevents import parse_event, publish_event
from services.platform import timestamps

_SOURCE = "darkroom/accounts"


class AccountEventType(StrEnum):
    SIGN_UP_REQUESTED = "account.sign_up_requested"
    PASSWORD_RESET_REQUESTED = "account.password_reset_requested"  # noqa: S105  not a password
    EXPORT_REQUESTED = "account.export_requested"
    """The event's id is the export's."""
    PASSWORD_CHANGED = "account.password_changed"  # noqa: S105  not a password
    SIGNED_IN_FROM_NEW_NETWORK = "account.signed_in_from_new_network"
    SECOND_FACTOR_ENABLED = "account.second_factor_enabled"
    SECOND_FACTOR_DISABLED = "account.second_factor_disabled"
    SECOND_FACTOR_CODE_REUSED = "account.second_factor_code_reused"
    """With the right password; the code, or a later one, had been accepted before."""
    SECOND_FACTOR_RESET = "account.second_factor_reset"
    """By an operator, for an owner who has lost the app and the recovery codes."""


@dataclass(frozen=True)
class AccountEvent:
    """One event of the account, or the request for an account, with the address `email`."""

    id: str
    type: AccountEventType
    time: str
    email: str


def account_event(type_: AccountEventType, email: str, id_: str | None = None) -> AccountEvent:
    """A new event at the current time, with a new id unless one is given."""
    return AccountEvent(id=id_ or uuid.uuid4().hex, type=type_, time=timestamps.now(), email=email)


def publish(sns: Any, topic_arn: str, event: AccountEvent) -> None:
    """Publishes `event` to the topic."""
    publish_event(sns, topic_arn, event, source=_SOURCE, subject=event.id)


def parse_account_event(body: str) -> AccountEvent:
    """The event in a queue message. Raises PermanentError for any other message."""
    return parse_event(body, AccountEvent, "an account event")
