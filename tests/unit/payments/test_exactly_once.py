"""Property tests: crashes, timeouts, late requests and repetitions neither charge an order twice
nor lose a result. The real store and the real charging run on an in-memory table."""

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


def test_charging_under_any_fault_charges_once() -> None:
    run_state_machine_as_test(ChargingMachine, settings=SETTINGS)


class ReliesOnProviderKeys(Charging):
    """Wrong: opens a payment at every attempt and relies on the provider to remember keys."""

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


class ReleasesTheClaim(Charging):
    """Wrong: treats a lost response as a refusal and tries another payment."""

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


@pytest.mark.parametrize("wrong", [ReliesOnProviderKeys, ReleasesTheClaim])
def test_charging_machine_detects_a_wrong_implementation(wrong: type[Charging]) -> None:
    machine = type("Careless", (ChargingMachine,), {"charging": wrong})
    quick = settings(SETTINGS, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, TypeError, ExceptionGroup)):
        run_state_machine_as_test(machine, settings=quick)
