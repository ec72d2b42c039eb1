"""Charging: what each record says, what becomes of each error, and that an attempt that ended badly
keeps nobody waiting. The interleavings are in test_exactly_once.py."""

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
from tests.support.exactly_once import LEASE_SECONDS, World

ORDER, AMOUNT, CURRENCY = "order-1", 1995, "EUR"
CHARGE = Charge("pay_0", AMOUNT, CURRENCY)
REFUND = Refund("refund_pay_0", "pay_0")
PAYLOAD = {"amount_minor": AMOUNT, "currency": CURRENCY, "payment_method": "ok"}


@dataclass
class Lab:
    """The world of one order; `before` and `after` are raised by the provider around a call."""

    world: World = field(default_factory=World)
    before: dict[str, BaseException] = field(default_factory=dict)
    after: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.world.provider, name)

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
        return Charging(self, self.world.store())

    def charge(self, method: str = "ok") -> Charge:
        return self.charging.charge(ORDER, AMOUNT, CURRENCY, method)

    def void(self) -> Refund | None:
        return self.charging.void(ORDER)

    def record(self, name: str, payload: object) -> Any:
        """The stored result; "claimed" or None where there is none."""
        try:
            found = self.world.store().claim(f"{name}#{ORDER}", payload)
        except AlreadyInProgressError:
            return "claimed"
        if isinstance(found, Completed):
            return found.result
        self.world.store().release(found)
        return None

    def charge_record(self, method: str = "ok") -> Any:
        return self.record("charge", PAYLOAD | {"payment_method": method})

    def payment_record(self) -> Any:
        return self.record("payment", {"order_id": ORDER})

    @property
    def balance(self) -> tuple[int, int]:
        book = self.world.provider.of(ORDER)
        return sum(p.charges for p in book), sum(p.refunds for p in book)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_a_charge_and_its_records(lab: Lab) -> None:
    assert lab.charge() == CHARGE
    assert lab.charge_record() == dataclasses.asdict(CHARGE)
    assert lab.payment_record() == {"payment_id": "pay_0"}
    assert set(lab.world.table.items) == {f"charge#{ORDER}", f"payment#{ORDER}"}


def test_a_charge_is_told_again_without_asking_the_provider(lab: Lab) -> None:
    lab.charge()
    lab.calls.clear()
    assert [lab.charge(), lab.charge()] == [CHARGE, CHARGE]
    assert lab.calls == []


@pytest.mark.parametrize(
    ("method", "calls", "payment"),
    [
        ("declined", ["open", "confirm"], {"payment_id": "pay_0"}),
        # Nothing was opened, so nothing is the order's payment.
        ("unknown", ["open"], None),
    ],
)
def test_a_decline_stays(lab: Lab, method: str, calls: list[str], payment: object) -> None:
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            lab.charge(method)
        assert declined.value.reason in ("card_declined", "unknown_payment_method")
    assert lab.calls == calls
    assert lab.charge_record(method) == {"declined": declined.value.reason}
    assert lab.payment_record() == payment
    assert lab.balance == (0, 0)


def test_a_payment_that_was_called_off_is_not_charged(lab: Lab) -> None:
    assert lab.void() is None
    assert lab.payment_record() == {"payment_id": None}
    for _ in range(2):
        with pytest.raises(PaymentVoided):
            lab.charge()
    assert lab.calls == []
    assert lab.charge_record() == {"voided": True}


def test_a_payment_that_was_called_off_at_the_provider_is_not_charged(lab: Lab) -> None:
    lab.before["confirm"] = TransientError("lost")
    with pytest.raises(TransientError):
        lab.charge()
    assert lab.void() is None
    with pytest.raises(PaymentVoided):
        lab.charge()
    assert lab.charge_record() == {"voided": True}
    assert lab.balance == (0, 0)


def test_a_charge_that_is_called_off_is_given_back_once(lab: Lab) -> None:
    lab.charge()
    assert [lab.void(), lab.void()] == [REFUND, REFUND]
    assert lab.balance == (1, 1)
    assert lab.calls == ["open", "confirm", "cancel", "refund"]
    assert lab.record("void", {"payment_id": "pay_0"}) == dataclasses.asdict(REFUND)
    assert lab.record("refund", {"payment_id": "pay_0"}) == dataclasses.asdict(REFUND)
    # The charge that there was, even so.
    assert lab.charge() == CHARGE


def test_a_refund_is_made_once(lab: Lab) -> None:
    charge = lab.charge()
    assert [lab.charging.refund(ORDER, charge) for _ in range(2)] == [REFUND, REFUND]
    assert lab.calls.count("refund") == 1
    assert lab.void() == REFUND
    assert lab.balance == (1, 1)


def test_another_amount_for_the_same_order_is_refused(lab: Lab) -> None:
    lab.charge()
    for amount, currency, method in (
        (AMOUNT + 1, CURRENCY, "ok"), (AMOUNT, "CHF", "ok"), (AMOUNT, CURRENCY, "other"),
    ):  # fmt: skip
        with pytest.raises(PayloadMismatchError):
            lab.charging.charge(ORDER, amount, currency, method)
    assert lab.balance == (1, 0)


def test_orders_do_not_share_anything(lab: Lab) -> None:
    charges = {lab.charging.charge(f"order-{n}", AMOUNT, CURRENCY, "ok").payment_id for n in "123"}
    assert len(charges) == 3


class Died(BaseException):
    """As when the process is told to end."""


@pytest.mark.parametrize("call", ["open", "confirm"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "error",
    [TransientError("lost"), ConfigurationError("payments", ["key"]), PermanentError("refused"),
     ZeroDivisionError("a bug"), Died()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_after_any_error_the_next_attempt_goes_on_at_once(
    lab: Lab, call: str, when: str, error: BaseException
) -> None:
    getattr(lab, when)[call] = error
    with pytest.raises(type(error)):
        lab.charge()
    # Without waiting for the lease.
    assert lab.charge() == CHARGE
    assert lab.balance == (1, 0)
    assert len(lab.world.provider.of(ORDER)) == 1


@pytest.mark.parametrize(
    ("call", "charged"), [("cancel", False), ("cancel", True), ("refund", True)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_calling_off_goes_on_after_an_error(lab: Lab, call: str, charged: bool, when: str) -> None:
    if charged:
        lab.charge()
    else:
        lab.before["confirm"] = TransientError("lost")
        with pytest.raises(TransientError):
            lab.charge()
    getattr(lab, when)[call] = TransientError("lost")
    with pytest.raises(TransientError):
        lab.void()
    assert lab.void() == (REFUND if charged else None)
    assert lab.balance == (int(charged), int(charged))


def test_while_somebody_is_at_it_others_wait(lab: Lab) -> None:
    claim = lab.world.store().claim(f"charge#{ORDER}", PAYLOAD)
    assert isinstance(claim, Claim)
    with pytest.raises(AlreadyInProgressError):
        lab.charge()
    lab.world.now += LEASE_SECONDS + 1
    assert lab.charge() == CHARGE
    with pytest.raises(LostClaimError):
        lab.world.store().complete(claim, {"declined": "late"})
    assert lab.charge_record() == dataclasses.asdict(CHARGE)


def test_a_claim_that_cannot_be_abandoned_ends_with_its_lease(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is away as well: the first error is told, and the lease sees to the rest."""
    error = TransientError("the provider is lost")

    def away(**_: object) -> None:
        raise ConnectionError("the table is lost")

    lab.before["confirm"] = error
    with monkeypatch.context() as patch:
        # The payment's record is written before; only the end of the claim is lost.
        real = lab.world.table.update_item
        writes: list[None] = []

        def second_is_lost(**request: Any) -> Any:
            writes.append(None)
            return real(**request) if len(writes) == 1 else away()

        patch.setattr(lab.world.table, "update_item", second_is_lost)
        with pytest.raises(TransientError) as told:
            lab.charge()
    assert told.value is error
    assert lab.charge_record() == "claimed"
    lab.world.now += LEASE_SECONDS + 1
    assert lab.charge() == CHARGE


@pytest.mark.parametrize("wrong", [{"amount_minor": AMOUNT - 1}, {"currency": "CHF"}])
def test_a_charge_of_something_else_is_not_taken_for_ours(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """It stays unknown, so that the order ends with the money given back."""
    real = lab.world.provider.confirm
    with monkeypatch.context() as patch:
        patch.setattr(
            lab.world.provider, "confirm", lambda *given: dataclasses.replace(real(*given), **wrong)
        )
        with pytest.raises(TransientError, match="expected a charge of 1995 EUR"):
            lab.charge()
    assert lab.void() == REFUND
    assert lab.balance == (1, 1)
