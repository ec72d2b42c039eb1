"""One result for a key, under crashes, lost or late calls and retries: the real store on an
in-memory table, with workers that stop before each of their calls (tests/support/exactly_once.py).

The work gives another result at each call. Equal results for all callers can therefore only come
from the store.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.platform.aws.items import to_item
from services.platform.errors import TransientError
from services.platform.idempotency import (
    Claim,
    Completed,
    IdempotencyStore,
    PayloadMismatchError,
    State,
)
from tests.support.exactly_once import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    PROVIDER_OUTCOMES,
    TABLE_OUTCOMES,
    CallOutcome,
    Interceptor,
    Killed,
    Simulation,
    Worker,
)

SETTINGS = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
KEY, PAYLOAD, OTHER_PAYLOAD = "key", {"amount": 1995}, {"amount": 1}
WORKERS_MAX = 4
# Of one attempt: two writes and a read to claim, the work, and the end.
CALLS_MAX = 8
# Together shorter than the records are kept.
PAUSES = (1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1, 3600.0)
SKEWS = (0.0, 0.0, -3.0, 3.0, 2 * LEASE_SECONDS)


class Work:
    """Never gives the same result twice."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def do(self) -> str:
        return f"result-{next(self._numbers)}"


class StoreMachine(RuleBasedStateMachine):
    """Attempts at one key: to do the work, to do it and leave it open, and with another payload."""

    store_type: ClassVar[type[IdempotencyStore]] = IdempotencyStore

    @initialize()
    def begin(self) -> None:
        self.simulation = Simulation()
        self.began = self.simulation.now
        self.work = Work()
        self.asked: list[Worker] = []
        self.stored: Any = None

    def _store(self, worker: Worker | None = None) -> IdempotencyStore:
        table = (
            self.simulation.table
            if worker is None
            else Interceptor(worker, "table", self.simulation.table)
        )
        clock = self.simulation.clock if worker is None else worker.clock
        return type(self).store_type(table, "idempotency", LEASE_SECONDS, KEEP_SECONDS, clock)

    def _run(self, worker: Worker) -> Any:
        work = Interceptor(worker, "provider", self.work)
        return self._store(worker).run_once(KEY, PAYLOAD, work.do)

    def _leave_open(self, worker: Worker) -> Any:
        store = self._store(worker)
        claim = store.claim(KEY, PAYLOAD)
        if isinstance(claim, Completed):
            return claim.result
        Interceptor(worker, "provider", self.work).do()
        store.abandon(claim)
        return None

    @precondition(lambda self: len(self.simulation.active) < WORKERS_MAX)
    @rule(
        skew=st.sampled_from(SKEWS),
        leaves_open=st.sampled_from([False, False, False, True]),
        calls=st.sampled_from([1, 2, 1, 2, 0, 3]),
    )
    def request(self, skew: float, leaves_open: bool, calls: int) -> None:
        worker = self.simulation.begin(self._leave_open if leaves_open else self._run, skew)
        self.asked.append(worker)
        self._resume(worker, calls)

    def _resume(self, worker: Worker, calls: int) -> None:
        for _ in range(calls):
            if not worker.finished:
                worker.resume(CallOutcome.DONE)

    @rule()
    def request_with_another_payload(self) -> None:
        taken = KEY in self.simulation.table.items
        try:
            claim = self._store().claim(KEY, OTHER_PAYLOAD)
        except PayloadMismatchError:
            assert taken
            return
        assert not taken
        assert isinstance(claim, Claim)
        self._store().release(claim)

    @precondition(lambda self: self.simulation.active)
    @rule(which=st.integers(0, WORKERS_MAX - 1), calls=st.sampled_from([1, 1, 2, 3, CALLS_MAX]))
    def resume(self, which: int, calls: int) -> None:
        self._resume(self.simulation.active[which % len(self.simulation.active)], calls)

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

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        if self.simulation.now + seconds - self.began < KEEP_SECONDS / 2:
            self.simulation.now += seconds

    @precondition(lambda self: self.simulation.active)
    @rule(
        which=st.integers(0, WORKERS_MAX - 1),
        outcome_of_call=st.sampled_from([CallOutcome.DONE, CallOutcome.REQUEST_LOST]),
        served=st.integers(1, CALLS_MAX),
    )
    def an_owner_outlives_its_lease(
        self, which: int, outcome_of_call: CallOutcome, served: int
    ) -> None:
        """The central case, which random steps rarely reach: a second worker finishes, or nearly,
        before the first continues."""
        first = self.simulation.active[which % len(self.simulation.active)]
        self.simulation.now += LEASE_SECONDS + 1
        second = self.simulation.begin(self._run)
        self.asked.append(second)
        self._resume(second, served)
        first.resume(outcome_of_call)
        self._resume(first, CALLS_MAX)

    @invariant()
    def a_stored_result_stays(self) -> None:
        if not hasattr(self, "simulation"):
            return
        found = self.simulation.table.items.get(KEY, {})
        result = found.get("result")
        assert self.stored in (None, result), f"{self.stored} became {result}"
        self.stored = result
        assert (found.get("state") == {"S": State.COMPLETED.value}) == (result is not None)

    @invariant()
    def all_results_are_equal(self) -> None:
        if not hasattr(self, "simulation"):
            return
        results = set()
        for worker in self.asked:
            if worker.finished and worker.error is None and worker.result is not None:
                results.add(worker.result)
            elif worker.finished and worker.error is not None:
                assert isinstance(worker.error, TransientError | Killed), worker.error
        assert len(results) <= 1
        self.results = results

    def teardown(self) -> None:
        """After the faults, every caller gets a result, equal to earlier ones."""
        if not hasattr(self, "simulation"):
            return
        try:
            for worker in self.simulation.active:
                worker.resume(CallOutcome.DIES_BEFORE)
            self.all_results_are_equal()
            final = self._settled()
            assert self.results <= {final}, "a result was lost"
            assert self._settled() == final
            self.a_stored_result_stays()
        finally:
            self.simulation.end()

    def _settled(self) -> Any:
        for _ in range(8):
            try:
                return self._store().run_once(KEY, PAYLOAD, self.work.do)
            except TransientError:
                # As long as the longest lease, of an owner whose clock is ahead.
                self.simulation.now += LEASE_SECONDS + 1
        raise AssertionError("no result after 8 attempts")


def test_store_under_faults_gives_one_result() -> None:
    run_state_machine_as_test(StoreMachine, settings=SETTINGS)


class StoresWithoutCheck(IdempotencyStore):
    """Stores its result without checking the claim's owner, as many libraries do."""

    def complete(self, claim: Claim, result: Any = None) -> None:
        self._unchecked(
            claim,
            self.dynamodb.update_item,
            UpdateExpression="SET #state = :completed, #result = :result",
            names={"#state": "state", "#result": "result"},
            values={":completed": State.COMPLETED.value, ":result": json.dumps(result)},
        )

    def _unchecked(
        self,
        claim: Claim,
        write: Callable[..., Any],
        names: dict[str, str],
        values: dict[str, str],
        **more: Any,
    ) -> None:
        write(
            TableName=self.table,
            Key=to_item({"key": claim.key}),
            ConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": "key", **names},
            ExpressionAttributeValues=to_item({":key": claim.key, **values}),
            **more,
        )


class ReleasesWithoutCheck(StoresWithoutCheck):
    """Releases the key without checking its owner."""

    complete = IdempotencyStore.complete

    def release(self, claim: Claim) -> None:
        with suppress(self.dynamodb.exceptions.ConditionalCheckFailedException):
            self._unchecked(claim, self.dynamodb.delete_item, names={}, values={})


class TakesOverWithoutCheck(IdempotencyStore):
    """Takes over any claim, also one that changed meanwhile."""

    def _put(self, claim: Claim, digest: str, condition: str, values: dict[str, Any]) -> bool:
        if claim.takes_over:
            condition, values = "#key = :key", {":key": claim.key}
        return super()._put(claim, digest, condition, values)


@pytest.mark.parametrize(
    "faulty_store", [StoresWithoutCheck, ReleasesWithoutCheck, TakesOverWithoutCheck]
)
def test_store_without_a_check_fails_the_state_machine(
    faulty_store: type[IdempotencyStore],
) -> None:
    machine = type("FaultyMachine", (StoreMachine,), {"store_type": faulty_store})
    quick = settings(
        SETTINGS, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=quick)
