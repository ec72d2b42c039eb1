"""The sweep after orders whose start was cut off: its bounds, and that one order's trouble is its
own. What starting an order does is in tests/integration/orders."""

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
TICK = json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": {}})


def order(order_id: str) -> Order:
    now = datetime.now(UTC)
    delivery = Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE")
    return Order(
        order_id, "user", "anna@darkroom.example", OrderStatus.CREATED, "EUR", 250, "sandbox-ok",
        delivery, (), now, now,
    )  # fmt: skip


def message(body: str = TICK, seconds: float = 120) -> Message:
    return Message("m", body, 1, False, time.monotonic() + seconds)


@dataclass
class Bench:
    """Orders that wait for their start, and what happens to each that is asked for."""

    waiting: list[str]
    outcomes: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[datetime, int]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def unstarted(self, before: datetime, limit: int) -> tuple[Order, ...]:
        self.asked.append((before, limit))
        return tuple(map(order, self.waiting[:limit]))

    def start(self, order: Order) -> None:
        self.meanwhile()
        if order.id in self.outcomes:
            raise self.outcomes[order.id]
        self.started.append(order.id)

    def sweep(self, message: Message) -> None:
        StartOrders(cast("Orders", self), self.start).handle(message)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    log.configure()
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_orders_are_started_in_their_order(lines: Callable[[], list[dict[str, Any]]]) -> None:
    bench = Bench(["a", "b", "c"])
    bench.sweep(message())
    assert bench.started == ["a", "b", "c"]
    assert [(line["event"], line["order_id"]) for line in lines()] == [
        ("order_start_resumed", order_id) for order_id in "abc"
    ]


def test_only_orders_that_are_old_enough_are_asked_for() -> None:
    bench = Bench([])
    bench.sweep(message())
    ((before, limit),) = bench.asked
    assert timedelta() <= datetime.now(UTC) - INTERRUPTED_AFTER - before < timedelta(seconds=5)
    assert limit == STARTED_PER_RUN_MAX


def test_nothing_to_do_is_nothing_to_say(lines: Callable[[], list[dict[str, Any]]]) -> None:
    Bench([]).sweep(message())
    assert lines() == []


def test_one_that_cannot_be_started_does_not_hold_up_the_others(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    outcomes = {"a": TransientError("the database is away"), "c": ValueError("a bug")}
    bench = Bench(["a", "b", "c", "d"], outcomes)
    bench.sweep(message())
    assert bench.started == ["b", "d"]
    told = [line for line in lines() if line["level"] == "error"]
    assert [(line["event"], line["order_id"]) for line in told] == [
        ("order_start_failed", "a"), ("order_start_failed", "c"),
    ]  # fmt: skip
    assert "the database is away" in told[0]["exception"]


def test_no_start_is_begun_that_may_be_cut_in_the_middle(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def pass_time() -> None:
        nonlocal now
        now += 20

    bench = Bench([*"abcdef"], meanwhile=pass_time)
    # 60 s more than the reserve: the fourth start begins when just the reserve is left.
    bench.sweep(message(seconds=START_RESERVE_SECONDS + 60))
    assert bench.started == ["a", "b", "c", "d"]
    last = lines()[-1]
    assert (last["event"], last["count"]) == ("order_starts_deferred", 2)


def test_a_database_that_is_away_is_told_and_is_the_next_ones_to_try(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise TransientError("the database is away")

    bench = Bench(["a"])
    monkeypatch.setattr(bench, "unstarted", away)
    bench.sweep(message())
    (line,) = lines()
    assert (line["level"], line["event"]) == ("error", "interrupted_order_search_failed")
    assert bench.started == []


def test_what_is_no_message_of_a_schedule_is_refused() -> None:
    bench = Bench(["a"])
    with pytest.raises(PermanentError, match="expected a message of a schedule"):
        bench.sweep(message("{}"))
    assert bench.asked == []


def test_a_sweep_has_time_for_its_last_start_and_more() -> None:
    declared = manifest.load(ROOT / "images" / "start-orders")
    assert START_RESERVE_SECONDS > ATTEMPTS * READ_TIMEOUT_SECONDS
    assert declared.timeout_seconds >= 2 * START_RESERVE_SECONDS
