"""A deterministic simulation of workers that share a table and a payment provider, with faults
at any call. The property tests of the idempotency store and of charging use it.

A worker is a thread that stops before each call to the table or the provider. `Worker.resume` makes
the call with a chosen outcome. One thread runs at a time, so an example always runs the same way.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.platform.errors import TransientError
from services.platform.idempotency import IdempotencyStore
from tests.support.waiting import scaled

LEASE_SECONDS, KEEP_SECONDS = 60.0, 90 * 24 * 3600.0
# Stripe remembers idempotency keys for a day.
KEY_MEMORY_SECONDS = 24 * 3600.0
_STEP_TIMEOUT_SECONDS = 20


class ConditionalCheckFailedException(Exception):  # noqa: N818  DynamoDB's name
    pass


class Table:
    """A fake of the DynamoDB operations that the idempotency store uses.

    tests/integration/payments runs the same examples against the emulator's DynamoDB.
    """

    class exceptions:  # noqa: N801  as in botocore
        ConditionalCheckFailedException = ConditionalCheckFailedException

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def put_item(self, *, Item: dict[str, Any], **request: Any) -> dict[str, Any]:  # noqa: N803
        self._check(self.items.get(_value(Item["key"])), request)
        self.items[_value(Item["key"])] = dict(Item)
        return {}

    def get_item(self, *, Key: dict[str, Any], ConsistentRead: bool, **_: Any) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        item = self.items.get(_value(Key["key"]))
        return {} if item is None else {"Item": dict(item)}

    def update_item(
        self,
        *,
        Key: dict[str, Any],  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        **request: Any,
    ) -> dict[str, Any]:
        key = _value(Key["key"])
        self._check(self.items.get(key), request)
        item = self.items.setdefault(key, dict(Key))
        assert UpdateExpression.startswith("SET ")
        for assignment in UpdateExpression[4:].split(","):
            name, value = (part.strip() for part in assignment.split("="))
            item[_name(name, request)] = request["ExpressionAttributeValues"][value]
        return {}

    def delete_item(self, *, Key: dict[str, Any], **request: Any) -> dict[str, Any]:  # noqa: N803
        key = _value(Key["key"])
        self._check(self.items.get(key), request)
        self.items.pop(key, None)
        return {}

    def _check(self, item: dict[str, Any] | None, request: dict[str, Any]) -> None:
        for alternative in request["ConditionExpression"].split(" OR "):
            if all(_holds(term, item, request) for term in alternative.split(" AND ")):
                return
        raise ConditionalCheckFailedException


def _holds(term: str, item: dict[str, Any] | None, request: dict[str, Any]) -> bool:
    if match := re.fullmatch(r"attribute_not_exists\((\S+)\)", term.strip()):
        return item is None or _name(match[1], request) not in item
    left, operator, right = term.split()
    attribute = (item or {}).get(_name(left, request))
    if attribute is None:
        return False
    mine, theirs = _value(attribute), _value(request["ExpressionAttributeValues"][right])
    return bool({"=": mine == theirs, "<": mine < theirs}[operator])


def _name(name: str, request: dict[str, Any]) -> str:
    return str(request["ExpressionAttributeNames"][name]) if name.startswith("#") else name


def _value(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    return float(value) if kind == "N" else value


@dataclass
class Payment:
    """A payment at the provider."""

    id: str
    order_id: str
    amount_minor: int
    currency: str
    method: str
    status: str = "open"
    charges: int = 0
    refunds: int = 0

    @property
    def charge(self) -> Charge:
        return Charge(self.id, self.amount_minor, self.currency)


class Provider:
    """A fake PaymentGateway that remembers keys for a day and payments forever."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.payments: dict[str, Payment] = {}
        self._keys: dict[str, tuple[float, str]] = {}

    def of(self, order_id: str) -> list[Payment]:
        return [p for p in self.payments.values() if p.order_id == order_id]

    def open(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> str:
        if payment_method == "unknown":
            raise PaymentDeclined("unknown_payment_method")
        remembered = self._keys.get(key)
        if remembered and self.clock() - remembered[0] < KEY_MEMORY_SECONDS:
            return remembered[1]
        payment = Payment(
            f"pay_{len(self.payments)}", order_id, amount_minor, currency, payment_method
        )
        self.payments[payment.id] = payment
        self._keys[key] = (self.clock(), payment.id)
        return payment.id

    def confirm(self, payment_id: str, key: str) -> Charge:  # noqa: ARG002  the protocol's signature
        payment = self.payments[payment_id]
        if payment.status == "open":
            payment.status = "declined" if payment.method == "declined" else "charged"
            payment.charges += payment.status == "charged"
        if payment.status == "declined":
            raise PaymentDeclined("card_declined")
        if payment.status == "cancelled":
            raise PaymentVoided("cancelled")
        return payment.charge

    def cancel(self, payment_id: str) -> Charge | None:
        payment = self.payments[payment_id]
        if payment.status == "open":
            payment.status = "cancelled"
        return payment.charge if payment.status == "charged" else None

    def refund(self, charge: Charge, key: str) -> Refund:  # noqa: ARG002  the protocol's signature
        payment = self.payments[charge.payment_id]
        assert payment.status == "charged", "a refund of nothing"
        payment.refunds = 1
        return Refund(f"refund_{payment.id}", payment.id)


class CallOutcome(Enum):
    """The outcome of a call."""

    DONE = "done and answered"
    REQUEST_LOST = "the request is lost"
    ANSWER_LOST = "done, and the answer is lost"
    SENT_TWICE = "done twice: the answer is lost and the SDK sends the request again"  # table only
    LATE = "done after the caller gave up"  # provider only
    DIES_BEFORE = "the worker dies before the call"
    DIES_AFTER = "the worker dies after the call"


TABLE_OUTCOMES = tuple(set(CallOutcome) - {CallOutcome.LATE})
PROVIDER_OUTCOMES = tuple(set(CallOutcome) - {CallOutcome.SENT_TWICE})
DEADLY = frozenset({CallOutcome.DIES_BEFORE, CallOutcome.DIES_AFTER})


class Killed(BaseException):
    """Ends the thread of a dead worker at the end of the example."""


@dataclass(frozen=True)
class Call:
    """A call that a worker is about to make."""

    target: str
    name: str
    perform: Callable[[], Any]


@dataclass
class Worker:
    """One attempt at `work`; `skew_seconds` is the error of its clock."""

    simulation: Simulation
    work: Callable[[Worker], Any]
    skew_seconds: float = 0.0
    waiting: Call | None = None
    result: Any = None
    error: BaseException | None = None
    finished: bool = False
    dead: bool = False
    _outcome: CallOutcome = CallOutcome.DONE
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> None:
        """Starts the thread and runs it up to its first call."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def resume(self, outcome_of_call: CallOutcome) -> None:
        """Makes the pending call and runs the thread up to its next call or its end."""
        assert self.waiting is not None
        self._outcome = outcome_of_call
        if outcome_of_call is CallOutcome.DIES_BEFORE:
            self.dead = True
            return
        if outcome_of_call is CallOutcome.DIES_AFTER:
            self.dead = True
            with suppress(Exception):  # the worker is dead
                self.waiting.perform()
            return
        self._go.release()
        self._wait()

    def stop(self) -> None:
        """Ends the thread without any further call."""
        self.dead = True
        if not self.finished:
            self._go.release()
            self._thread.join(scaled(_STEP_TIMEOUT_SECONDS))
        assert not self._thread.is_alive()

    def clock(self) -> float:
        return self.simulation.clock() + self.skew_seconds

    def call(self, target: str, name: str, perform: Callable[[], Any]) -> Any:
        """Waits before a call, in the worker's thread, then makes it."""
        if self.dead:
            raise Killed
        self.waiting = Call(target, name, perform)
        self._stopped.release()
        self._go.acquire()
        if self.dead:
            raise Killed
        self.waiting = None
        lost = TransientError(f"{name}: the connection was lost")
        match self._outcome:
            case CallOutcome.REQUEST_LOST:
                raise lost
            case CallOutcome.ANSWER_LOST:
                with suppress(Exception):  # its error is lost too
                    perform()
                raise lost
            case CallOutcome.SENT_TWICE:
                try:
                    perform()
                except ConditionalCheckFailedException:
                    raise
                return perform()
            case CallOutcome.LATE:
                self.simulation.late.append(perform)
                raise lost
        return perform()

    def _run(self) -> None:
        try:
            self.result = self.work(self)
        except BaseException as error:  # noqa: BLE001  the test checks it
            self.error = error
        self.finished = True
        self._stopped.release()

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=scaled(_STEP_TIMEOUT_SECONDS)), "a worker hangs"


@dataclass
class Interceptor:
    """A client of the table or the provider whose calls stop the worker."""

    worker: Worker
    target: str
    real: Any

    def __getattr__(self, name: str) -> Any:
        if name == "exceptions":
            return self.real.exceptions
        method = getattr(self.real, name)
        return lambda *arguments, **named: self.worker.call(
            self.target, name, lambda: method(*arguments, **named)
        )


@dataclass
class Simulation:
    """The table, the provider, the clock and the workers of one example."""

    table: Any = field(default_factory=Table)
    table_name: str = "idempotency"
    now: float = 1_800_000_000.0
    workers: list[Worker] = field(default_factory=list)
    late: list[Callable[[], Any]] = field(default_factory=list)
    provider: Provider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = Provider(self.clock)

    def clock(self) -> float:
        return self.now

    def store(self, worker: Worker | None = None) -> IdempotencyStore:
        """The real store, with the worker's faults; without a worker, free of faults."""
        table = self.table if worker is None else Interceptor(worker, "table", self.table)
        clock = self.clock if worker is None else worker.clock
        return IdempotencyStore(table, self.table_name, LEASE_SECONDS, KEEP_SECONDS, clock)

    def gateway(self, worker: Worker | None = None) -> Any:
        return self.provider if worker is None else Interceptor(worker, "provider", self.provider)

    def begin(self, work: Callable[[Worker], Any], skew_seconds: float = 0.0) -> Worker:
        worker = Worker(self, work, skew_seconds)
        self.workers.append(worker)
        worker.start()
        return worker

    @property
    def active(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.finished and not worker.dead]

    def deliver_late(self) -> None:
        """Delivers the oldest late request to the provider; its answer is lost."""
        with suppress(PaymentDeclined, PaymentVoided):
            self.late.pop(0)()

    def end(self) -> None:
        for worker in self.workers:
            worker.stop()


def outcome(worker: Worker) -> Any:
    """The worker's final result or the name of its refusal; None while that is open."""
    if not worker.finished or isinstance(worker.error, TransientError | Killed):
        return None
    if isinstance(worker.error, PaymentDeclined | PaymentVoided):
        return type(worker.error).__name__
    if worker.error is not None:
        raise AssertionError("a worker failed with an unexpected error") from worker.error
    return dataclasses.asdict(worker.result) if worker.result is not None else "nothing charged"
