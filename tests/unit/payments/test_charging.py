"""Charging: its records, its errors, and that a failed attempt does not delay the next one.
test_exactly_once.py tests the interleavings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.payments.charging import Charging
from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.platform.idempotency import (
    AlreadyInProgressError,
    Claim,
    Completed,
    LostClaimError,
    PayloadMismatchError,
)
from tests.support.exactly_once import LEASE_SECONDS, Simulation

ORDER, AMOUNT, CURRENCY = "order-1", 1995, "EUR"
CHARGE = Charge("pay_0", AMOUNT, CURRENCY)
REFUND = Refund("refund_pay_0", "pay_0")
PAYLOAD = {"amount_minor": AMOUNT, "currency": CURRENCY, "payment_method": "ok"}


@dataclass
class ChargedOrder:
    """One order and a simulated provider, which raises `before` or `after` around a call."""

    simulation: Simulation = field(default_factory=Simulation)
    before: dict[str, BaseException] = field(default_factory=dict)
    after: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.simulation.provider, name)

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.before:
                raise self.before.pop(name)
            result = method(*arguments)
            if name in self.after:
                raise self.after.pop(name)
            return result

        return call

    @property
    def charging(self) -> Charging:
        return Charging(self, self.simulation.store())

    def charge(self, method: str = "ok") -> Charge:
        return self.charging.charge(ORDER, AMOUNT, CURRENCY, method)

    def void(self) -> Refund | None:
        return self.charging.void(ORDER)

    def record(self, name: str, payload: object) -> Any:
        """The stored result; "claimed" without a result, None without a record."""
        try:
            found = self.simulation.store().claim(f"{name}#{ORDER}", payload)
        except AlreadyInProgressError:
            return "claimed"
        if isinstance(found, Completed):
            return found.result
        self.simulation.store().release(found)
        return None

    def charge_record(self, method: str = "ok") -> Any:
        return self.record("charge", PAYLOAD | {"payment_method": method})

    def payment_record(self) -> Any:
        return self.record("payment", {"order_id": ORDER})

    @property
    def balance(self) -> tuple[int, int]:
        book = self.simulation.provider.of(ORDER)
        return sum(p.charges for p in book), sum(p.refunds for p in book)


@pytest.fixture
def order() -> ChargedOrder:
    return ChargedOrder()


def test_charge_writes_its_records(order: ChargedOrder) -> None:
    assert order.charge() == CHARGE
    assert order.charge_record() == dataclasses.asdict(CHARGE)
    assert order.payment_record() == {"payment_id": "pay_0"}
    assert set(order.simulation.table.items) == {f"charge#{ORDER}", f"payment#{ORDER}"}


def test_charge_repeated_does_not_call_the_provider(order: ChargedOrder) -> None:
    order.charge()
    order.calls.clear()
    assert [order.charge(), order.charge()] == [CHARGE, CHARGE]
    assert order.calls == []


@pytest.mark.parametrize(
    ("method", "calls", "payment"),
    [
        ("declined", ["open", "confirm"], {"payment_id": "pay_0"}),
        # No payment was opened, so the order has none.
        ("unknown", ["open"], None),
    ],
)
def test_charge_declined_stays_declined(
    order: ChargedOrder, method: str, calls: list[str], payment: object
) -> None:
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            order.charge(method)
        assert declined.value.reason in ("card_declined", "unknown_payment_method")
    assert order.calls == calls
    assert order.charge_record(method) == {"declined": declined.value.reason}
    assert order.payment_record() == payment
    assert order.balance == (0, 0)


def test_charge_after_void_raises_voided(order: ChargedOrder) -> None:
    assert order.void() is None
    assert order.payment_record() == {"payment_id": None}
    for _ in range(2):
        with pytest.raises(PaymentVoided):
            order.charge()
    assert order.calls == []
    assert order.charge_record() == {"voided": True}


def test_charge_payment_cancelled_at_the_provider_raises_voided(order: ChargedOrder) -> None:
    order.before["confirm"] = TransientError("lost")
    with pytest.raises(TransientError):
        order.charge()
    assert order.void() is None
    with pytest.raises(PaymentVoided):
        order.charge()
    assert order.charge_record() == {"voided": True}
    assert order.balance == (0, 0)


def test_void_after_charge_refunds_once(order: ChargedOrder) -> None:
    order.charge()
    assert [order.void(), order.void()] == [REFUND, REFUND]
    assert order.balance == (1, 1)
    assert order.calls == ["open", "confirm", "cancel", "refund"]
    assert order.record("void", {"payment_id": "pay_0"}) == dataclasses.asdict(REFUND)
    assert order.record("refund", {"payment_id": "pay_0"}) == dataclasses.asdict(REFUND)
    # The charge is returned all the same.
    assert order.charge() == CHARGE


def test_refund_repeated_is_made_once(order: ChargedOrder) -> None:
    charge = order.charge()
    assert [order.charging.refund(ORDER, charge) for _ in range(2)] == [REFUND, REFUND]
    assert order.calls.count("refund") == 1
    assert order.void() == REFUND
    assert order.balance == (1, 1)


def test_charge_with_another_amount_is_refused(order: ChargedOrder) -> None:
    order.charge()
    for amount, currency, method in (
        (AMOUNT + 1, CURRENCY, "ok"), (AMOUNT, "CHF", "ok"), (AMOUNT, CURRENCY, "other"),
    ):  # fmt: skip
        with pytest.raises(PayloadMismatchError):
            order.charging.charge(ORDER, amount, currency, method)
    assert order.balance == (1, 0)


def test_charge_of_two_orders_is_independent(order: ChargedOrder) -> None:
    charges = {
        order.charging.charge(f"order-{n}", AMOUNT, CURRENCY, "ok").payment_id for n in "123"
    }
    assert len(charges) == 3


class Terminated(BaseException):
    """Ends the process, as SIGTERM does."""


@pytest.mark.parametrize("call", ["open", "confirm"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "error",
    [TransientError("lost"), ConfigurationError("payments", ["key"]), PermanentError("refused"),
     ZeroDivisionError("a bug"), Terminated()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_charge_after_an_error_takes_over_at_once(
    order: ChargedOrder, call: str, when: str, error: BaseException
) -> None:
    getattr(order, when)[call] = error
    with pytest.raises(type(error)):
        order.charge()
    # Without waiting for the end of the lease.
    assert order.charge() == CHARGE
    assert order.balance == (1, 0)
    assert len(order.simulation.provider.of(ORDER)) == 1


@pytest.mark.parametrize(
    ("call", "charged"), [("cancel", False), ("cancel", True), ("refund", True)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_void_after_an_error_completes(
    order: ChargedOrder, call: str, charged: bool, when: str
) -> None:
    if charged:
        order.charge()
    else:
        order.before["confirm"] = TransientError("lost")
        with pytest.raises(TransientError):
            order.charge()
    getattr(order, when)[call] = TransientError("lost")
    with pytest.raises(TransientError):
        order.void()
    assert order.void() == (REFUND if charged else None)
    assert order.balance == (int(charged), int(charged))


def test_charge_while_claimed_raises_transient_error(order: ChargedOrder) -> None:
    claim = order.simulation.store().claim(f"charge#{ORDER}", PAYLOAD)
    assert isinstance(claim, Claim)
    with pytest.raises(AlreadyInProgressError):
        order.charge()
    order.simulation.now += LEASE_SECONDS + 1
    assert order.charge() == CHARGE
    with pytest.raises(LostClaimError):
        order.simulation.store().complete(claim, {"declined": "late"})
    assert order.charge_record() == dataclasses.asdict(CHARGE)


def test_charge_claim_that_cannot_be_abandoned_ends_with_its_lease(
    order: ChargedOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is unavailable too: the first error is raised, and the lease expires."""
    error = TransientError("the provider is lost")

    def fail(**_: object) -> None:
        raise ConnectionError("the table is lost")

    order.before["confirm"] = error
    with monkeypatch.context() as patch:
        # The payment's record was written before; only the end of the claim is lost.
        real = order.simulation.table.update_item
        writes: list[None] = []

        def second_is_lost(**request: Any) -> Any:
            writes.append(None)
            return real(**request) if len(writes) == 1 else fail()

        patch.setattr(order.simulation.table, "update_item", second_is_lost)
        with pytest.raises(TransientError) as caught:
            order.charge()
    assert caught.value is error
    assert order.charge_record() == "claimed"
    order.simulation.now += LEASE_SECONDS + 1
    assert order.charge() == CHARGE


@pytest.mark.parametrize("wrong", [{"amount_minor": AMOUNT - 1}, {"currency": "CHF"}])
def test_charge_of_another_amount_by_the_provider_stays_unknown(
    order: ChargedOrder, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """The outcome stays unknown, so that the order ends with a refund."""
    real = order.simulation.provider.confirm
    with monkeypatch.context() as patch:
        patch.setattr(
            order.simulation.provider,
            "confirm",
            lambda *given: dataclasses.replace(real(*given), **wrong),
        )
        with pytest.raises(TransientError, match="expected a charge of 1995 EUR"):
            order.charge()
    assert order.void() == REFUND
    assert order.balance == (1, 1)
