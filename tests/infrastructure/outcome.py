"""What is looked at after a customer's way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from services.local.mailbox import SentMail, sent_mails
from tests.infrastructure.ground import Ground

MAIL_SECONDS = 60


def mails(ground: Ground, count: int, recipient: str | None = None) -> list[SentMail]:
    """The e-mails so far, to all or to one, once there are `count`."""
    give_up_at = time.monotonic() + MAIL_SECONDS
    while True:
        sent = [m for m in sent_mails(ground.mail) if recipient in (None, m.recipient)]
        if len(sent) >= count or time.monotonic() > give_up_at:
            return sent
        time.sleep(0.2)


def no_dead_letters(ground: Ground, output: Mapping[str, Any]) -> None:
    sqs = ground.cloud.client("sqs")
    for function, queue in output["queues"].items():
        got = sqs.get_queue_attributes(
            QueueUrl=queue["dead_letter_url"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert got["Attributes"]["ApproximateNumberOfMessages"] == "0", function
