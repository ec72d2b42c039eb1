"""A world in which workers charge orders and everything may go wrong between any two of their
steps: the machinery of the property tests of the idempotency store and of charging.

A worker is a thread that stops before each of its calls to the table and to the payment provider,
and goes on when it is told to, with what is to become of that call. One thread runs at a time, so
an example always plays out the same way.
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

LEASE_SECONDS, KEEP_SECONDS = 60.0, 90 * 24 * 3600.0
# As Stripe does.
KEY_MEMORY_SECONDS = 24 * 3600.0
_PATIENCE_SECONDS = 20


class ConditionalCheckFailedException(Exception):  # noqa: N818  DynamoDB's name
    pass


class Table:
    """DynamoDB as far as the idempotency store asks for it: conditional writes, one at a time.

    tests/integration/payments plays the same examples on the emulator's.
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
    """A payment in the provider's book."""

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
    """The other side of a PaymentGateway: it keeps keys for a day, and payments for ever."""

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

    def confirm(self, payment_id: str, key: str) -> Charge:  # noqa: ARG002  the port's form
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

    def refund(self, charge: Charge, key: str) -> Refund:  # noqa: ARG002  the port's form
        payment = self.payments[charge.payment_id]
        assert payment.status == "charged", "a refund of nothing"
        payment.refunds = 1
        return Refund(f"refund_{payment.id}", payment.id)


class Fate(Enum):
    """What becomes of a call."""

    DONE = "it is done and answered"
    REQUEST_LOST = "it never arrives"
    ANSWER_LOST = "it is done, and the answer is lost"
    SENT_TWICE = "the answer is lost, and the SDK sends it again"  # the table's SDK does
    LATE = "it is done when nobody waits for it any more"  # the provider only
    DIES_BEFORE = "the worker is killed before it"
    DIES_AFTER = "the worker is killed after it"


OF_TABLE = tuple(set(Fate) - {Fate.LATE})
OF_PROVIDER = tuple(set(Fate) - {Fate.SENT_TWICE})
DEADLY = frozenset({Fate.DIES_BEFORE, Fate.DIES_AFTER})


class Killed(BaseException):
    """Ends a dead worker's thread when the example is over; till then it does nothing at all."""


@dataclass(frozen=True)
class Call:
    """A call that a worker is about to make."""

    target: str
    name: str
    perform: Callable[[], Any]


@dataclass
class Worker:
    """One attempt at some work; `skew_seconds` is how wrong its clock is."""

    world: World
    work: Callable[[Worker], Any]
    skew_seconds: float = 0.0
    waiting: Call | None = None
    result: Any = None
    error: BaseException | None = None
    over: bool = False
    dead: bool = False
    _fate: Fate = Fate.DONE
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> None:
        """Runs up to the first call."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def go_on(self, fate: Fate) -> None:
        """Makes the call that the worker waits with, and runs up to the next one or the end."""
        assert self.waiting is not None
        self._fate = fate
        if fate is Fate.DIES_BEFORE:
            self.dead = True
            return
        if fate is Fate.DIES_AFTER:
            self.dead = True
            with suppress(Exception):  # there is nobody left to hear it
                self.waiting.perform()
            return
        self._go.release()
        self._wait()

    def bury(self) -> None:
        """Ends the thread, whatever it was doing, without any further call."""
        self.dead = True
        if not self.over:
            self._go.release()
            self._thread.join(_PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def clock(self) -> float:
        return self.world.clock() + self.skew_seconds

    def call(self, target: str, name: str, perform: Callable[[], Any]) -> Any:
        """Stops before a call, in the worker's thread."""
        if self.dead:
            raise Killed
        self.waiting = Call(target, name, perform)
        self._stopped.release()
        self._go.acquire()
        if self.dead:
            raise Killed
        self.waiting = None
        lost = TransientError(f"{name}: the connection was lost")
        match self._fate:
            case Fate.REQUEST_LOST:
                raise lost
            case Fate.ANSWER_LOST:
                with suppress(Exception):  # that answer is lost too
                    perform()
                raise lost
            case Fate.SENT_TWICE:
                try:
                    perform()
                except ConditionalCheckFailedException:
                    raise
                return perform()
            case Fate.LATE:
                self.world.late.append(perform)
                raise lost
        return perform()

    def _run(self) -> None:
        try:
            self.result = self.work(self)
        except BaseException as error:  # noqa: BLE001  looked at by the test
            self.error = error
        self.over = True
        self._stopped.release()

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=_PATIENCE_SECONDS), "a worker hangs"


@dataclass
class Wire:
    """Stands between a worker and the table or the provider."""

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
class World:
    """The table, the provider, the time, and who works."""

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
        """The real store: of a worker, or of one to whom nothing happens."""
        table = self.table if worker is None else Wire(worker, "table", self.table)
        clock = self.clock if worker is None else worker.clock
        return IdempotencyStore(table, self.table_name, LEASE_SECONDS, KEEP_SECONDS, clock)

    def gateway(self, worker: Worker | None = None) -> Any:
        return self.provider if worker is None else Wire(worker, "provider", self.provider)

    def begin(self, work: Callable[[Worker], Any], skew_seconds: float = 0.0) -> Worker:
        worker = Worker(self, work, skew_seconds)
        self.workers.append(worker)
        worker.start()
        return worker

    @property
    def living(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.over and not worker.dead]

    def deliver_late(self) -> None:
        """The oldest late request arrives at the provider; its answer reaches nobody."""
        with suppress(PaymentDeclined, PaymentVoided):
            self.late.pop(0)()

    def end(self) -> None:
        for worker in self.workers:
            worker.bury()


def outcome(worker: Worker) -> Any:
    """What a worker came back with, where that is final: its result, or the refusal."""
    if not worker.over or isinstance(worker.error, TransientError | Killed):
        return None
    if isinstance(worker.error, PaymentDeclined | PaymentVoided):
        return type(worker.error).__name__
    if worker.error is not None:
        raise AssertionError("a worker failed in a way that is neither") from worker.error
    return dataclasses.asdict(worker.result) if worker.result is not None else "nothing kept"
