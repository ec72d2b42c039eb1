"""Events of accounts."""

from __future__ import annotations

from typing import Any

import pytest

from services.events.accounts import (
    AccountEventType,
    account_event,
    parse_account_event,
    publish,
)
from services.platform.errors import PermanentError


class Recorder:
    """An SNS client that records what is published."""

    def publish(self, **arguments: Any) -> None:
        self.published = arguments


def test_published_event_is_parsed_again() -> None:
    event = account_event(AccountEventType.SIGN_UP_REQUESTED, "ada@example.com")
    sns = Recorder()
    publish(sns, "topic", event)
    assert parse_account_event(sns.published["Message"]) == event
    attributes = sns.published["MessageAttributes"]
    assert attributes["type"]["StringValue"] == "account.sign_up_requested"
    assert "ada" not in str(attributes)


def test_two_requests_for_one_address_are_two_events() -> None:
    first, second = (
        account_event(AccountEventType.SIGN_UP_REQUESTED, "ada@example.com") for _ in range(2)
    )
    assert first.id != second.id


@pytest.mark.parametrize("body", ["", "{}", '{"id": "1", "type": "account.unknown", "data": {}}'])
def test_other_message_raises_permanent_error(body: str) -> None:
    with pytest.raises(PermanentError):
        parse_account_event(body)
