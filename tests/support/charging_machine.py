"""A Hypothesis state machine that charges one order under faults (see exactly_once.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.payments.charging import Charging
from services.payments.model import PaymentDeclined, PaymentVoided
from services.platform.errors import TransientError
from tests.support.exactly_once import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    PROVIDER_OUTCOMES,
    TABLE_OUTCOMES,
    CallOutcome,
    Simulation,
    Worker,
    outcome,
)

AMOUNT, CURRENCY = 1995, "EUR"
WORKERS_MAX = 4
# Their sum stays below the lifetime of the records.
PAUSES = (1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1, 3600.0, 25 * 3600.0)
SKEWS = (0.0, 0.0, -3.0, 3.0, 2 * LEASE_SECONDS)


class ChargingMachine(RuleBasedStateMachine):
    """Attempts to charge and to void one order, started at any time and several at once, as queues
    that deliver twice and workers that die do."""

    make_simulation: ClassVar[Callable[[], Simulation]] = Simulation
    charging: ClassVar[Callable[..., Any]] = Charging
    order_id = "order"

    @initialize(method=st.sampled_from(["ok", "ok", "ok", "declined", "unknown"]))
    def order(self, method: str) -> None:
        self.simulation = type(self).make_simulation()
        self.began = self.simulation.now
        self.method = method
        self.charges: list[Worker] = []
        self.voids: list[Worker] = []

    def _charge(self, worker: Worker | None = None) -> Any:
        charging = type(self).charging(
            self.simulation.gateway(worker), self.simulation.store(worker)
        )
        return charging.charge(self.order_id, AMOUNT, CURRENCY, self.method)

    def _void(self, worker: Worker | None = None) -> Any:
        charging = type(self).charging(
            self.simulation.gateway(worker), self.simulation.store(worker)
        )
        return charging.void(self.order_id)

    @precondition(lambda self: len(self.simulation.active) < WORKERS_MAX)
    @rule(skew=st.sampled_from(SKEWS))
    def begin_to_charge(self, skew: float) -> None:
        self.charges.append(self.simulation.begin(self._charge, skew))

    @precondition(lambda self: self.charges and len(self.simulation.active) < WORKERS_MAX)
    @rule(skew=st.sampled_from(SKEWS))
    def begin_to_void(self, skew: float) -> None:
        self.voids.append(self.simulation.begin(self._void, skew))

    @precondition(lambda self: self.simulation.active)
    @rule(which=st.integers(0, WORKERS_MAX - 1), calls=st.integers(1, 8))
    def resume(self, which: int, calls: int) -> None:
        worker = self.simulation.active[which % len(self.simulation.active)]
        for _ in range(calls):
            if not worker.finished:
                worker.resume(CallOutcome.DONE)

    @precondition(lambda self: self.simulation.active)
    @rule(which=st.integers(0, WORKERS_MAX - 1), data=st.data())
    def resume_with_a_fault(self, which: int, data: st.DataObject) -> None:
        worker = self.simulation.active[which % len(self.simulation.active)]
        assert worker.waiting
        of_table = worker.waiting.target == "table"
        outcomes = sorted(
            TABLE_OUTCOMES if of_table else PROVIDER_OUTCOMES,
            key=lambda item: item.name,
        )
        worker.resume(data.draw(st.sampled_from(outcomes), label=worker.waiting.name))

    @precondition(lambda self: self.simulation.late)
    @rule()
    def late_request_arrives(self) -> None:
        self.simulation.deliver_late()

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        if self.simulation.now + seconds - self.began < KEEP_SECONDS / 2:
            self.simulation.now += seconds

    @invariant()
    def never_two_charges(self) -> None:
        if not hasattr(self, "simulation"):
            return
        payments = self.simulation.provider.of(self.order_id)
        assert sum(payment.charges for payment in payments) <= 1
        assert sum(payment.refunds for payment in payments) <= sum(p.charges for p in payments)

    @invariant()
    def all_results_agree_with_the_provider(self) -> None:
        if not hasattr(self, "simulation"):
            return
        payments = self.simulation.provider.of(self.order_id)
        charged = [dataclasses.asdict(p.charge) for p in payments if p.charges]
        results = [end for worker in self.charges if (end := outcome(worker)) is not None]
        assert all(one == results[0] for one in results)
        for one in results:
            assert charged == ([one] if isinstance(one, dict) else [])
        # After a void nothing is charged, now or later.
        voids_done = [end for worker in self.voids if (end := outcome(worker)) is not None]
        assert all(one == voids_done[0] for one in voids_done)
        if voids_done:
            assert sum(p.charges - p.refunds for p in payments) == 0
            assert (voids_done[0] == "nothing charged") == (not charged)

    def teardown(self) -> None:
        """Without further faults, charging returns the recorded result, and returns it again."""
        if not hasattr(self, "simulation"):
            return
        try:
            for worker in self.simulation.active:
                worker.resume(CallOutcome.DIES_BEFORE)
            results = [end for worker in self.charges if (end := outcome(worker)) is not None]
            payments = self.simulation.provider.of(self.order_id)
            charged = [p.charge for p in payments if p.charges]
            first = self._settled(self._charge)
            if charged:
                assert first == charged[0], "a charge was lost"
            if results:
                shown = first if isinstance(first, str) else dataclasses.asdict(first)
                assert results[0] == shown, "a result was lost"
            while self.simulation.late:
                self.simulation.deliver_late()
                self.never_two_charges()
            assert self._settled(self._charge) == first
            refund = self._settled(self._void)
            assert self._settled(self._void) == refund
            assert sum(p.charges - p.refunds for p in payments) == 0
            assert self._settled(self._charge) == first
            self.never_two_charges()
        finally:
            self.simulation.end()

    def _settled(self, ask: Callable[[], Any]) -> Any:
        """The result of `ask`, repeated until it is final."""
        for _ in range(8):
            try:
                return ask()
            except (PaymentDeclined, PaymentVoided) as error:
                return type(error).__name__
            except TransientError:
                # The lease of an owner whose clock is fast lasts longer.
                self.simulation.now += LEASE_SECONDS + 1
        raise AssertionError("no final result after 8 attempts")
