"""start-orders: its limits, and its handling of failures. tests/integration/orders tests what the
start of an order does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from services.events.schedules import DETAIL_TYPE, SOURCE
from services.orders.model import Delivery, Order, OrderStatus
from services.orders.start_orders import START_RESERVE_SECONDS, STARTED_PER_RUN_MAX, StartOrders
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.platform import log, manifest
from services.platform.aws.clients import ATTEMPTS, READ_TIMEOUT_SECONDS
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Message

ROOT = Path(__file__).resolve().parents[3]
SCHEDULED_MESSAGE = json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": {}})


def order(order_id: str) -> Order:
    now = datetime.now(UTC)
    delivery = Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE")
    return Order(
        order_id, "user", "anna@darkroom.example", OrderStatus.CREATED, "EUR", 250, "sandbox-ok",
        delivery, (), now, now,
    )  # fmt: skip


def message(body: str = SCHEDULED_MESSAGE, seconds: float = 120) -> Message:
    return Message("m", body, 1, False, time.monotonic() + seconds)


@dataclass
class FakeOrders:
    """A fake order store with unstarted orders, and the outcome of each start."""

    waiting: list[str]
    outcomes: dict[str, Exception] = field(default_factory=dict)
    queries: list[tuple[datetime, int]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def unstarted(self, before: datetime, limit: int) -> tuple[Order, ...]:
        self.queries.append((before, limit))
        return tuple(map(order, self.waiting[:limit]))

    def start(self, order: Order) -> None:
        self.meanwhile()
        if order.id in self.outcomes:
            raise self.outcomes[order.id]
        self.started.append(order.id)

    def handle(self, message: Message) -> None:
        StartOrders(cast("Orders", self), self.start).handle(message)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    log.configure()
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_start_orders_starts_the_oldest_first(lines: Callable[[], list[dict[str, Any]]]) -> None:
    fake = FakeOrders(["a", "b", "c"])
    fake.handle(message())
    assert fake.started == ["a", "b", "c"]
    assert [(line["event"], line["order_id"]) for line in lines()] == [
        ("order_start_resumed", order_id) for order_id in "abc"
    ]


def test_start_orders_queries_interrupted_orders_only() -> None:
    fake = FakeOrders([])
    fake.handle(message())
    ((before, limit),) = fake.queries
    assert timedelta() <= datetime.now(UTC) - INTERRUPTED_AFTER - before < timedelta(seconds=5)
    assert limit == STARTED_PER_RUN_MAX


def test_start_orders_without_orders_logs_nothing(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    FakeOrders([]).handle(message())
    assert lines() == []


def test_start_orders_failed_start_does_not_stop_the_others(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    outcomes = {"a": TransientError("the database is unavailable"), "c": ValueError("a bug")}
    fake = FakeOrders(["a", "b", "c", "d"], outcomes)
    fake.handle(message())
    assert fake.started == ["b", "d"]
    errors = [line for line in lines() if line["level"] == "error"]
    assert [(line["event"], line["order_id"]) for line in errors] == [
        ("order_start_failed", "a"), ("order_start_failed", "c"),
    ]  # fmt: skip
    assert "the database is unavailable" in errors[0]["exception"]


def test_start_orders_with_little_time_left_defers_the_rest(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def pass_time() -> None:
        nonlocal now
        now += 20

    fake = FakeOrders([*"abcdef"], meanwhile=pass_time)
    # 60 s more than the reserve: the fourth start begins when exactly the reserve is left.
    fake.handle(message(seconds=START_RESERVE_SECONDS + 60))
    assert fake.started == ["a", "b", "c", "d"]
    last = lines()[-1]
    assert (last["event"], last["count"]) == ("order_starts_deferred", 2)


def test_start_orders_database_unavailable_is_logged(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise TransientError("the database is unavailable")

    fake = FakeOrders(["a"])
    monkeypatch.setattr(fake, "unstarted", fail)
    fake.handle(message())
    (line,) = lines()
    assert (line["level"], line["event"]) == ("error", "interrupted_order_search_failed")
    assert fake.started == []


def test_start_orders_other_message_is_refused() -> None:
    fake = FakeOrders(["a"])
    with pytest.raises(PermanentError, match="expected a message of a schedule"):
        fake.handle(message("{}"))
    assert fake.queries == []


def test_start_orders_timeout_allows_a_last_start() -> None:
    declared = manifest.load(ROOT / "images" / "start-orders")
    assert START_RESERVE_SECONDS > ATTEMPTS * READ_TIMEOUT_SECONDS
    assert declared.timeout_seconds >= 2 * START_RESERVE_SECONDS
