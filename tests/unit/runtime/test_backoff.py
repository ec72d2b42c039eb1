"""Pauses."""

from __future__ import annotations

import pytest

from services.mail.configuration import MailConfiguration
from services.payments.factory import ChargingConfiguration
from services.platform.configuration import read
from services.platform.functions.sqs import QueueConfiguration
from services.runtime.backoff import pause
from services.worker.configuration import Configuration


@pytest.mark.parametrize(
    ("attempt", "lowest", "highest"),
    [(1, 2.5, 5), (2, 5, 10), (3, 10, 20), (8, 320, 640), (9, 450, 900), (10_000, 450, 900)],
)
def test_pauses_double_up_to_the_cap_with_jitter(
    attempt: int, lowest: float, highest: float
) -> None:
    assert pause(attempt, 5, 900, draw=lambda: 0.0) == lowest
    assert pause(attempt, 5, 900, draw=lambda: 1.0) == highest


def test_jitter_is_there() -> None:
    assert len({pause(3, 5, 900) for _ in range(20)}) > 1


def test_no_pause_is_possible() -> None:
    assert pause(7, 0, 900) == 0


@pytest.mark.parametrize("claims", [ChargingConfiguration, MailConfiguration])
def test_what_a_killed_process_claimed_is_free_before_its_message_is_dead(
    claims: type[ChargingConfiguration] | type[MailConfiguration],
) -> None:
    environ = {
        "WORKER_QUEUE_URL": "x",
        "IDEMPOTENCY_TABLE": "x",
        "MAIL_SENDER": "x",
        "RECIPIENTS_TABLE": "x",
    }
    worker, receives = read(Configuration, environ), read(QueueConfiguration, environ)
    shortest = worker.visibility_seconds + sum(
        pause(attempt, worker.backoff_base_seconds, worker.backoff_cap_seconds, draw=lambda: 0.0)
        for attempt in range(2, receives.max_receive_count)
    )
    assert read(claims, environ).lease_seconds < shortest
