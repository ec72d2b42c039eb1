"""The payment sandbox without HTTP: valid input, payment states, no deadlock between threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.local.payment_sandbox.ledger import Ledger
from services.local.payment_sandbox.service import Method, PaymentService, Status
from services.local.payment_sandbox.webhooks import WebhookSender
from tests.support.waiting import scaled

SECRET = "whsec_of_the_lab"
WANTED = {
    "order_id": "order-1",
    "amount_minor": 1995,
    "currency": "EUR",
    "payment_method": Method.OK.value,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PaymentService]:
    ledger = Ledger(tmp_path / "payments.sqlite")
    # `send_forever` does not run: the test removes webhooks as if they were accepted.
    yield PaymentService(ledger, 5.0, WebhookSender(ledger, "http://127.0.0.1:9/webhooks", SECRET))
    ledger._sql.close()


def opened(service: PaymentService, **wanted: object) -> str:
    answer = service.open(WANTED | wanted, None)
    assert answer.status == 201
    return str(answer.document["id"])


@pytest.mark.parametrize(
    "wanted",
    [
        None, [], "payment", {},
        *[{name: value for name, value in WANTED.items() if name != left} for left in WANTED],
        *[WANTED | {"amount_minor": amount}
          for amount in (19.95, 1995.0, "1995", True, 0, -1, None)],
        *[WANTED | {name: value} for name in ("order_id", "currency", "payment_method")
          for value in ("", None, 7, ["EUR"])],
    ],
)  # fmt: skip
def test_open_invalid_payment_returns_400(service: PaymentService, wanted: Any) -> None:
    """An amount is never rounded: 19.95 is not 19."""
    assert service.open(wanted, "key").status == 400
    assert service.payments(None).document == {"payments": []}


def test_open_unknown_payment_method_returns_402(service: PaymentService) -> None:
    assert service.open(WANTED | {"payment_method": "pm_card_visa"}, None).status == 402


def test_open_same_key_returns_same_payment_or_key_reused(service: PaymentService) -> None:
    first, second = service.open(WANTED, "key"), service.open(WANTED, "key")
    assert (first.status, second.status) == (201, 200)
    assert first.document == second.document
    for other in ({"amount_minor": 1}, {"order_id": "order-2"}, {"currency": "CHF"}):
        answer = service.open(WANTED | other, "key")
        assert (answer.status, answer.document["code"]) == (400, "key_reused")


@pytest.mark.parametrize(
    ("steps", "statuses", "end"),
    [
        (["confirm", "confirm", "cancel", "refund", "refund"], [200, 200, 409, 200, 200],
         Status.CHARGED),
        (["cancel", "confirm", "cancel", "refund"], [200, 409, 200, 400], Status.CANCELLED),
        (["refund", "confirm"], [400, 200], Status.CHARGED),
    ],
)  # fmt: skip
def test_payment_steps_follow_the_state_machine(
    service: PaymentService, steps: list[str], statuses: list[int], end: Status
) -> None:
    payment = opened(service)
    assert [getattr(service, step)(payment).status for step in steps] == statuses
    assert service._payment(payment)["status"] == end


@pytest.mark.parametrize("step", ["confirm", "cancel", "refund"])
def test_step_on_unknown_payment_returns_404(service: PaymentService, step: str) -> None:
    assert getattr(service, step)("pay_0").status == 404


def test_waiting_for_a_webhook_does_not_block_the_ledger(service: PaymentService) -> None:
    """One charge waits for its webhook while another one queues a webhook."""
    waited = service.webhooks.add("payment.received", WANTED | {"id": "pay_1"}, 1)
    with service.ledger.transaction():
        waits = threading.Thread(target=service.webhooks.wait_for, args=(waited, 5.0), daemon=True)
        waits.start()
        waits.join(0.2)
        # `add` takes this lock inside a ledger transaction.
        free = service.webhooks._changed.acquire(timeout=2)
        assert free, "the waiting thread holds the lock and waits for the ledger"
        service.webhooks._changed.release()
    service.ledger.execute("DELETE FROM webhooks")
    waits.join(scaled(10))
    assert not waits.is_alive()


def test_wait_for_unaccepted_webhook_times_out(service: PaymentService) -> None:
    waited = service.webhooks.add("payment.received", WANTED | {"id": "pay_1"}, 1)
    service.webhooks.wait_for(waited, 0.1)


def test_secret_is_not_in_repr(service: PaymentService) -> None:
    assert SECRET not in repr(service)
