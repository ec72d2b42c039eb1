"""Never two charges, never a lost result, whatever crashes, times out, arrives late or is tried
again: the real store and the real charging, on an in-memory table with conditional writes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from services.payments.charging import Charging, _charge
from services.payments.model import Charge
from services.platform.idempotency import Completed
from tests.support.charging_machine import ChargingMachine

SETTINGS = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_charging_is_exactly_once() -> None:
    run_state_machine_as_test(ChargingMachine, settings=SETTINGS)


class TrustsTheProvidersKeys(Charging):
    """Opens a payment at every attempt, and trusts in the provider's memory of keys."""

    def charge(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str
    ) -> Charge:
        claim = self.idempotency.claim(f"charge#{order_id}", {})
        if isinstance(claim, Completed):
            return _charge(claim.result)
        payment = self.gateway.open(order_id, amount_minor, currency, payment_method, order_id)
        charge = self.gateway.confirm(payment, order_id)
        self.idempotency.complete(claim, dataclasses.asdict(charge))
        return charge


class GivesTheKeyBack(Charging):
    """Takes a lost answer for a refusal, and tries with another payment."""

    attempts = 0

    def charge(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str
    ) -> Charge:
        def work() -> dict[str, Any]:
            type(self).attempts += 1
            key = f"{order_id}-{self.attempts}"
            payment = self.gateway.open(order_id, amount_minor, currency, payment_method, key)
            return dataclasses.asdict(self.gateway.confirm(payment, key))

        return Charge(**self.idempotency.run_once(f"charge#{order_id}", {}, work))


@pytest.mark.parametrize("careless", [TrustsTheProvidersKeys, GivesTheKeyBack])
def test_the_machine_finds_a_careless_way_to_charge(careless: type[Charging]) -> None:
    machine = type("Careless", (ChargingMachine,), {"charging": careless})
    quick = settings(SETTINGS, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, TypeError, ExceptionGroup)):
        run_state_machine_as_test(machine, settings=quick)
