"""A state machine that charges orders in a world where all goes wrong (exactly_once.py)."""

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
    OF_PROVIDER,
    OF_TABLE,
    Fate,
    Worker,
    World,
    outcome,
)

AMOUNT, CURRENCY = 1995, "EUR"
WORKERS_MAX = 4
# Together shorter than the records are kept.
PAUSES = (1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1, 3600.0, 25 * 3600.0)
SKEWS = (0.0, 0.0, -3.0, 3.0, 2 * LEASE_SECONDS)


class ChargingMachine(RuleBasedStateMachine):
    """One order: attempts to charge it and to call it off, started at any time and several at once,
    as queues do that deliver twice and machines that are killed."""

    make_world: ClassVar[Callable[[], World]] = World
    charging: ClassVar[Callable[..., Any]] = Charging
    order_id = "order"

    @initialize(method=st.sampled_from(["ok", "ok", "ok", "declined", "unknown"]))
    def order(self, method: str) -> None:
        self.world = type(self).make_world()
        self.began = self.world.now
        self.method = method
        self.charges: list[Worker] = []
        self.voids: list[Worker] = []

    def _charge(self, worker: Worker | None = None) -> Any:
        charging = type(self).charging(self.world.gateway(worker), self.world.store(worker))
        return charging.charge(self.order_id, AMOUNT, CURRENCY, self.method)

    def _void(self, worker: Worker | None = None) -> Any:
        charging = type(self).charging(self.world.gateway(worker), self.world.store(worker))
        return charging.void(self.order_id)

    @precondition(lambda self: len(self.world.living) < WORKERS_MAX)
    @rule(skew=st.sampled_from(SKEWS))
    def begin_to_charge(self, skew: float) -> None:
        self.charges.append(self.world.begin(self._charge, skew))

    @precondition(lambda self: self.charges and len(self.world.living) < WORKERS_MAX)
    @rule(skew=st.sampled_from(SKEWS))
    def begin_to_call_off(self, skew: float) -> None:
        self.voids.append(self.world.begin(self._void, skew))

    @precondition(lambda self: self.world.living)
    @rule(which=st.integers(0, WORKERS_MAX - 1), calls=st.integers(1, 8))
    def go_on(self, which: int, calls: int) -> None:
        worker = self.world.living[which % len(self.world.living)]
        for _ in range(calls):
            if not worker.over:
                worker.go_on(Fate.DONE)

    @precondition(lambda self: self.world.living)
    @rule(which=st.integers(0, WORKERS_MAX - 1), data=st.data())
    def go_wrong(self, which: int, data: st.DataObject) -> None:
        worker = self.world.living[which % len(self.world.living)]
        assert worker.waiting
        of_table = worker.waiting.target == "table"
        fates = sorted(OF_TABLE if of_table else OF_PROVIDER, key=lambda fate: fate.name)
        worker.go_on(data.draw(st.sampled_from(fates), label=worker.waiting.name))

    @precondition(lambda self: self.world.late)
    @rule()
    def late_request_arrives(self) -> None:
        self.world.deliver_late()

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        if self.world.now + seconds - self.began < KEEP_SECONDS / 2:
            self.world.now += seconds

    @invariant()
    def never_two_charges(self) -> None:
        if not hasattr(self, "world"):
            return
        book = self.world.provider.of(self.order_id)
        assert sum(payment.charges for payment in book) <= 1
        assert sum(payment.refunds for payment in book) <= sum(p.charges for p in book)

    @invariant()
    def whoever_was_told_was_told_the_same_and_the_truth(self) -> None:
        if not hasattr(self, "world"):
            return
        book = self.world.provider.of(self.order_id)
        charged = [dataclasses.asdict(p.charge) for p in book if p.charges]
        told = [told for worker in self.charges if (told := outcome(worker)) is not None]
        assert all(one == told[0] for one in told)
        for one in told:
            assert charged == ([one] if isinstance(one, dict) else [])
        # It was called off for good: nothing is kept, and nothing will be.
        voided = [told for worker in self.voids if (told := outcome(worker)) is not None]
        assert all(one == voided[0] for one in voided)
        if voided:
            assert sum(p.charges - p.refunds for p in book) == 0
            assert (voided[0] == "nothing kept") == (not charged)

    def teardown(self) -> None:
        """The faults are over: the result comes out, the one that there was, and stays."""
        if not hasattr(self, "world"):
            return
        try:
            for worker in self.world.living:
                worker.go_on(Fate.DIES_BEFORE)
            told = [told for worker in self.charges if (told := outcome(worker)) is not None]
            book = self.world.provider.of(self.order_id)
            charged = [p.charge for p in book if p.charges]
            first = self._settled(self._charge)
            if charged:
                assert first == charged[0], "a charge was lost"
            if told:
                shown = first if isinstance(first, str) else dataclasses.asdict(first)
                assert told[0] == shown, "a result was lost"
            while self.world.late:
                self.world.deliver_late()
                self.never_two_charges()
            assert self._settled(self._charge) == first
            refund = self._settled(self._void)
            assert self._settled(self._void) == refund
            assert sum(p.charges - p.refunds for p in book) == 0
            assert self._settled(self._charge) == first
            self.never_two_charges()
        finally:
            self.world.end()

    def _settled(self, ask: Callable[[], Any]) -> Any:
        """What comes of asking again and again while nothing goes wrong."""
        for _ in range(8):
            try:
                return ask()
            except (PaymentDeclined, PaymentVoided) as error:
                return type(error).__name__
            except TransientError:
                # As long as the longest lease, of an owner whose clock is ahead.
                self.world.now += LEASE_SECONDS + 1
        raise AssertionError("it never comes to an end")
