"""The sandbox gateway against the running sandbox: the outcome of every payment method."""

from __future__ import annotations

import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.local import payment_sandbox
from services.local.emulator import free_port
from services.local.payment_sandbox import Method, PaymentProvider
from services.payments.configuration import Provider
from services.payments.model import Charge, PaymentDeclined, PaymentVoided
from services.payments.sandbox_gateway import SandboxGateway
from services.payments.webhooks import WebhookEvent, WebhookEventType, WebhookReader
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from tests.integration.payments.conftest import (
    CLIENT_TIMEOUT_SECONDS,
    SANDBOX_KEY,
    TIMEOUT_SECONDS,
    WEBHOOK_SECRET,
    Inbox,
)
from tests.support.waiting import scaled

AMOUNT = 1995


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


def opened(gateway: SandboxGateway, order: str, method: Method = Method.OK) -> str:
    return gateway.open(order, AMOUNT, "EUR", method.value, f"payment#{order}")


def statuses(sandbox: PaymentProvider, order: str) -> list[str]:
    return [payment["status"] for payment in sandbox.payments(order)]


def published(
    inbox: Inbox, order: str, count: int, settle_seconds: float = 0.0
) -> list[WebhookEvent]:
    """The events of an order's webhooks: waits for `count`, then `settle_seconds` for more."""
    inbox.wait_for(order, count)
    time.sleep(settle_seconds)
    found = inbox.of(order)
    webhook = WebhookReader(Provider.SANDBOX, WEBHOOK_SECRET)
    return [webhook.read(r.headers, r.body, time.time()) for r in found]


def test_payment_is_opened_confirmed_and_refunded(
    sandbox: PaymentProvider, sandbox_gateway: SandboxGateway, inbox: Inbox, order: str
) -> None:
    payment = opened(sandbox_gateway, order)
    assert opened(sandbox_gateway, order) == payment
    assert statuses(sandbox, order) == ["open"]
    charge = Charge(payment, AMOUNT, "EUR")
    assert {sandbox_gateway.confirm(payment, "key") for _ in range(3)} == {charge}
    assert sandbox_gateway.cancel(payment) == charge
    refunds = {sandbox_gateway.refund(charge, "refund") for _ in range(3)}
    assert len(refunds) == 1
    assert statuses(sandbox, order) == ["charged"]
    assert [(one.type, one.payment_id, one.amount_minor, one.currency)
            for one in published(inbox, order, 2)] == [
        (WebhookEventType.RECEIVED, payment, AMOUNT, "EUR"),
        (WebhookEventType.REFUNDED, payment, AMOUNT, "EUR"),
    ]  # fmt: skip


def test_declined_payment_stays_declined(
    sandbox: PaymentProvider, sandbox_gateway: SandboxGateway, inbox: Inbox, order: str
) -> None:
    payment = opened(sandbox_gateway, order, Method.DECLINED)
    for _ in range(2):
        with pytest.raises(PaymentDeclined, match="card_declined"):
            sandbox_gateway.confirm(payment, "key")
    assert sandbox_gateway.cancel(payment) is None
    assert statuses(sandbox, order) == ["declined"]
    (notice,) = published(inbox, order, 1)
    assert notice.type is WebhookEventType.DECLINED


def test_cancelled_payment_is_never_charged(
    sandbox: PaymentProvider, sandbox_gateway: SandboxGateway, order: str
) -> None:
    payment = opened(sandbox_gateway, order)
    assert [sandbox_gateway.cancel(payment) for _ in range(2)] == [None, None]
    with pytest.raises(PaymentVoided):
        sandbox_gateway.confirm(payment, "key")
    with pytest.raises(PermanentError):
        sandbox_gateway.refund(Charge(payment, AMOUNT, "EUR"), "refund")
    assert statuses(sandbox, order) == ["cancelled"]


def test_invalid_requests_are_refused(
    sandbox: PaymentProvider, sandbox_gateway: SandboxGateway, order: str
) -> None:
    with pytest.raises(PaymentDeclined, match="unknown_payment_method"):
        sandbox_gateway.open(order, AMOUNT, "EUR", "pm_card_visa", "key")
    with pytest.raises(PermanentError):
        sandbox_gateway.confirm("pay_0", "key")
    opened(sandbox_gateway, order)
    with pytest.raises(PermanentError, match="key_reused"):
        sandbox_gateway.open(order, AMOUNT + 1, "EUR", "sandbox-ok", f"payment#{order}")
    with pytest.raises(ConfigurationError):
        opened(SandboxGateway(sandbox.url, "another key", CLIENT_TIMEOUT_SECONDS), order)


@pytest.mark.parametrize(
    ("method", "after_one", "answers_then"),
    [
        (Method.TIMEOUT, "charged", True),
        (Method.TIMEOUT_UNCHARGED, "open", True),
        (Method.TIMEOUT_ALWAYS, "charged", False),
        (Method.UNAVAILABLE, "open", False),
    ],
)
def test_timeout_methods_leave_the_outcome_to_a_repetition(
    sandbox: PaymentProvider,
    sandbox_gateway: SandboxGateway,
    order: str,
    method: Method,
    after_one: str,
    answers_then: bool,
) -> None:
    hasty = SandboxGateway(sandbox.url, SANDBOX_KEY, TIMEOUT_SECONDS)
    payment = opened(sandbox_gateway, order, method)
    with pytest.raises(TransientError):
        hasty.confirm(payment, "key")
    assert statuses(sandbox, order) == [after_one]
    if answers_then:
        assert sandbox_gateway.confirm(payment, "key") == Charge(payment, AMOUNT, "EUR")
    else:
        with pytest.raises(TransientError):
            hasty.confirm(payment, "key")
    # It can always be cancelled, which returns an existing charge.
    charged = statuses(sandbox, order) == ["charged"]
    assert sandbox_gateway.cancel(payment) == (Charge(payment, AMOUNT, "EUR") if charged else None)


@pytest.mark.parametrize(
    ("method", "copies"), [(Method.OK, 1), (Method.DOUBLE, 2), (Method.WEBHOOK_LOST, 0)]
)
def test_webhooks_arrive_once_twice_or_never(
    sandbox_gateway: SandboxGateway, inbox: Inbox, order: str, method: Method, copies: int
) -> None:
    sandbox_gateway.confirm(opened(sandbox_gateway, order, method), "key")
    found = published(inbox, order, copies, settle_seconds=0.3)
    assert len(found) == copies
    # Both deliveries have the same event id.
    assert len({one.id for one in found}) <= 1


def test_webhook_may_arrive_before_the_response(
    sandbox_gateway: SandboxGateway, inbox: Inbox, order: str
) -> None:
    """For several concurrent payments, none of which waits for another."""
    orders = [f"{order}-{n}" for n in range(8)]

    def pay(one: str) -> int:
        sandbox_gateway.confirm(opened(sandbox_gateway, one, Method.WEBHOOK_FIRST), "key")
        return sum(one.encode() in r.body for r in list(inbox.taken))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pay, orders)) == [1] * 8


def test_webhook_is_repeated_until_accepted(
    sandbox_gateway: SandboxGateway, inbox: Inbox, order: str
) -> None:
    inbox.refuse = 1
    sandbox_gateway.confirm(opened(sandbox_gateway, order), "key")
    (notice,) = published(inbox, order, 1)
    assert notice.order_id == order
    assert inbox.refuse == 0


@pytest.mark.parametrize("method", [Method.OK, Method.TIMEOUT])
def test_concurrent_confirmations_charge_once(
    sandbox: PaymentProvider,
    sandbox_gateway: SandboxGateway,
    inbox: Inbox,
    order: str,
    method: Method,
) -> None:
    def pay(_: int) -> Charge:
        return sandbox_gateway.confirm(opened(sandbox_gateway, order, method), "key")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(pay, range(8)))) == 1
    (payment,) = sandbox.payments(order)
    assert (payment["status"], payment["confirmations"]) == ("charged", 8)
    assert len(published(inbox, order, 1, settle_seconds=0.2)) == 1


def test_payments_survive_a_kill(tmp_path: Path, order: str) -> None:
    def begin(port: int) -> PaymentProvider:
        return payment_sandbox.start(
            port,
            tmp_path / "book",
            tmp_path / "log",
            api_key=SANDBOX_KEY,
            webhook_secret=WEBHOOK_SECRET,
        )

    provider = begin(free_port())
    gateway = SandboxGateway(provider.url, SANDBOX_KEY, CLIENT_TIMEOUT_SECONDS)
    charge = gateway.confirm(opened(gateway, order), "key")
    provider.process.send_signal(signal.SIGKILL)
    provider.process.wait(scaled(10))
    with pytest.raises(TransientError):
        gateway.confirm(charge.payment_id, "key")
    provider = begin(provider.port)
    try:
        assert opened(gateway, order) == charge.payment_id
        assert gateway.confirm(charge.payment_id, "key") == charge
        books: list[dict[str, Any]] = provider.payments()
        assert [one["status"] for one in books] == ["charged"]
    finally:
        payment_sandbox.stop(provider)
    log = (tmp_path / "log").read_text()
    assert SANDBOX_KEY not in log
    assert WEBHOOK_SECRET not in log
