"""Orders in a running lab, each with a fault.

All scenarios run concurrently in one lab, so each order also meets faults of the others. Each test
then checks the end of one order: status, payment, stock and e-mails.
"""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from services.client.api import Api, ApiProblem
from services.events.orders import OrderEvent, OrderEventType, order_event, publish
from services.local.mailbox import sent_mails
from services.local.state import LabFiles
from services.orders.model import Delivery, NewLine, NewOrder, OrderStatus
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.platform.errors import TransientError
from tests.support.order_lab import (
    DELIVERY,
    POSTER_MM,
    PRICE_MINOR,
    SMALL_MM,
    OrderLab,
    Payment,
    await_empty,
    kill,
)
from tests.support.photos import jpeg, scene
from tests.support.waiting import Value, eventually, scaled

pytestmark = pytest.mark.slow

SCENARIO_TIMEOUT_SECONDS = 240
# The longest time until MiniStack fires the rule of start-orders: a minute plus its poll interval.
SCHEDULE_DELAY_MAX = timedelta(seconds=75)
QUANTITY = 2
STOCK = 10
CONFIRMED = "We have your order"
RECEIPT = "Your receipt for order"
REJECTED = "We cannot print your order"
SHIPPED = "Your prints are on their way: order"
SHIPPED_MAILS = (CONFIRMED, RECEIPT, SHIPPED)
# Status to the function that runs while an order has it.
FUNCTION_AT = {
    "created": "validate-order",
    "validated": "check-inventory",
    "reserved": "process-payment",
    "paid": "fulfill-order",
}


@dataclass(frozen=True)
class Scenario:
    """An order with a fault, its legal end statuses, and its e-mails (None: any)."""

    name: str
    ends: tuple[str, ...]
    mails: tuple[str, ...] | None
    pay: str = "sandbox-ok"
    size_mm: tuple[int, int] = SMALL_MM
    stock: int = STOCK
    image_id: str = ""
    # Called with the lab, the customer's API and the order once it has the status `fault_at`.
    fault: Callable[[OrderLab, Api, dict[str, Any]], None] | None = None
    fault_at: str = ""


@dataclass(frozen=True)
class Result:
    order: dict[str, Any]
    product_id: str


def kill_environments(lab: OrderLab, _api: Api, order: dict[str, Any]) -> None:
    """Kills the environment of the function at work, and those that replace it at once."""
    function = FUNCTION_AT[order["status"]]
    eventually(lambda: kill(lab.environments(function)), f"an environment of {function}")
    for _ in range(2):
        time.sleep(0.25)
        kill(lab.environments(function))


def restart_postgres(lab: OrderLab, _api: Api, _order: dict[str, Any]) -> None:
    (child,) = [c for c in lab.state.children if c.name == "postgres"]
    os.kill(child.pid, signal.SIGINT)


def kill_provider(lab: OrderLab, _api: Api, _order: dict[str, Any]) -> None:
    lab.kill("payment-provider")


def cancel(_lab: OrderLab, api: Api, order: dict[str, Any]) -> None:
    try:
        api.cancel_order(order["id"])
    except ApiProblem as problem:
        assert problem.slug == "order-not-cancellable"  # noqa: PT017  a race that it may lose


SCENARIOS = (
    Scenario("nothing", ("shipped",), SHIPPED_MAILS),
    Scenario("out of stock", ("out_of_stock",), (CONFIRMED, "Out of stock: order"), stock=1),
    Scenario(
        "declined",
        ("payment_declined",),
        (CONFIRMED, "Your payment was declined: order"),
        pay="sandbox-declined",
    ),
    Scenario(
        "too few pixels",
        ("rejected",),
        (CONFIRMED, REJECTED),
        size_mm=POSTER_MM,
    ),
    Scenario(
        "photo of another customer",
        ("rejected",),
        (CONFIRMED, REJECTED),
        image_id="0" * 32,
    ),
    Scenario("provider times out, charged", ("shipped",), SHIPPED_MAILS, pay="sandbox-timeout"),
    Scenario(
        "provider times out, uncharged",
        ("shipped",),
        SHIPPED_MAILS,
        pay="sandbox-timeout-uncharged",
    ),
    # Its webhook reports the payment, its responses never arrive: either end is consistent.
    Scenario("provider never answers", ("shipped", "failed"), None, pay="sandbox-timeout-always"),
    Scenario(
        "provider unavailable",
        ("failed",),
        (CONFIRMED, "Something went wrong with your order"),
        pay="sandbox-unavailable",
    ),
    Scenario("provider answers twice", ("shipped",), SHIPPED_MAILS, pay="sandbox-double"),
    Scenario("webhook before the answer", ("shipped",), SHIPPED_MAILS, pay="sandbox-webhook-first"),
    Scenario("webhook lost", ("shipped",), SHIPPED_MAILS, pay="sandbox-webhook-lost"),
    Scenario(
        "provider killed", ("shipped",), SHIPPED_MAILS, fault=kill_provider, fault_at="reserved"
    ),
    *(
        Scenario(
            f"killed while {at}", ("shipped",), SHIPPED_MAILS, fault=kill_environments, fault_at=at
        )
        for at in FUNCTION_AT
    ),
    *(
        Scenario(
            f"Postgres away while {at}",
            ("shipped",),
            SHIPPED_MAILS,
            fault=restart_postgres,
            fault_at=at,
        )
        for at in FUNCTION_AT
    ),
    # The cancellation races with the workflow, so both ends are legal.
    *(
        Scenario(f"cancelled while {at}", ("cancelled", "shipped"), None, fault=cancel, fault_at=at)
        for at in FUNCTION_AT
    ),
)


@pytest.fixture(scope="module")
def results(order_lab: OrderLab) -> dict[str, Result]:
    """Scenario name to the order at its end."""
    ended: dict[str, Result] = {}
    # In waves: a kill, a restart and a payment timeout each use up one receive of a message, and
    # all of them together would exceed its maximum receive count.
    for faults in ({None}, {kill_environments, kill_provider, cancel}, {restart_postgres}):
        wave = [scenario for scenario in SCENARIOS if scenario.fault in faults]
        with ThreadPoolExecutor(len(wave)) as pool:
            futures = {
                scenario.name: pool.submit(run_scenario, order_lab, scenario) for scenario in wave
            }
        ended |= {name: future.result() for name, future in futures.items()}
    return ended


def run_scenario(lab: OrderLab, scenario: Scenario) -> Result:
    api = lab.api()
    try:
        product = retried(lambda: lab.product(scenario.stock, scenario.size_mm))
        line = lab.line(product, QUANTITY, scenario.image_id)
        key = f"scenario-{scenario.name}"
        order = retried(lambda: api.order([line], scenario.pay, DELIVERY, key))
        for seen in status_changes(api, order["id"]):
            if scenario.fault is not None and seen["status"] == scenario.fault_at:
                scenario.fault(lab, api, seen)
        return Result(retried(lambda: api.order_of(order["id"])), product)
    finally:
        api.close()


def retried(call: Callable[[], Value]) -> Value:
    """Repeats the call on a transient error, as a customer does."""
    give_up_at = time.monotonic() + scaled(60)
    while True:
        try:
            return call()
        except TransientError:
            assert time.monotonic() < give_up_at
            time.sleep(0.2)


def status_changes(api: Api, order_id: str) -> Iterator[dict[str, Any]]:
    """Yields the order at each change of its status until it has ended."""
    ends = {"shipped", "rejected", "out_of_stock", "payment_declined", "cancelled", "failed"}
    give_up_at = time.monotonic() + scaled(SCENARIO_TIMEOUT_SECONDS)
    status = ""
    while status not in ends:
        assert time.monotonic() < give_up_at, f"order {order_id} is still {status}"
        order = retried(lambda: api.order_of(order_id))
        if order["status"] != status:
            status = order["status"]
            yield order
        time.sleep(0.02)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_order_under_fault_ends_consistently(
    order_lab: OrderLab, results: dict[str, Result], scenario: Scenario
) -> None:
    result = results[scenario.name]
    order = result.order
    assert order["status"] in scenario.ends, order["history"]
    shipped = order["status"] == "shipped"

    # Refund and stock may follow the end status shortly after.
    wanted = (QUANTITY * PRICE_MINOR if shipped else 0, QUANTITY if shipped else 0, 0)
    give_up_at = time.monotonic() + scaled(60)
    while True:
        payment = order_lab.payment(order["id"])
        stock = retried(lambda: order_lab.stock(result.product_id))
        if (payment.kept, stock.sold, stock.reserved) == wanted or time.monotonic() > give_up_at:
            break
        time.sleep(0.2)
    assert (payment.kept, stock.sold, stock.reserved) == wanted
    assert payment.charged <= 1
    assert payment.payments <= 1
    assert stock.on_hand + stock.sold == scenario.stock

    statuses = [step["status"] for step in order["history"]]
    assert len(statuses) == len(set(statuses)), "a status was entered twice"
    if scenario.mails is not None:
        # Each once. Separate functions send them, so a fault may change their order.
        found = mails_of(order_lab, order["id"], len(scenario.mails))
        assert sorted(found) == sorted(scenario.mails)


def mails_of(lab: OrderLab, order_id: str, count: int) -> list[str]:
    give_up_at = time.monotonic() + scaled(30)
    while len(lab.mails(order_id)) < count and time.monotonic() < give_up_at:
        time.sleep(0.2)
    return lab.mails(order_id)


def test_order_happy_path_sends_emails_and_exact_print_files(
    order_lab: OrderLab, tmp_path: Path
) -> None:
    api = order_lab.api()
    photo = tmp_path / "dunes.jpg"
    photo.write_bytes(jpeg(scene(1300, 1900, seed=11)))
    image = api.developed(api.upload(photo))
    await_empty(order_lab)
    first = [mail.subject for mail in sent_mails(LabFiles(order_lab.root).mail)]
    assert first[-1] == f"Developed: {photo.name}"
    products = [order_lab.product(5, size_mm) for size_mm in ((100, 150), (60, 40))]
    lines = [order_lab.line(product, 1, image["id"]) for product in products]
    order = api.order(lines, "sandbox-ok", DELIVERY)
    order = api.ended(order["id"])
    assert [step["status"] for step in order["history"]] == [
        "created", "validated", "reserved", "paid", "fulfilled", "shipped",
    ]  # fmt: skip
    assert mails_of(order_lab, order["id"], 3) == list(SHIPPED_MAILS)

    state = order_lab.state
    s3, bucket = state.session.client("s3"), state.buckets["prints"]
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    keys = [item["Key"] for item in listed if order["id"] in item["Key"]]
    sizes = []
    for key in sorted(keys):
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        if key.endswith(".pdf"):
            assert content.startswith(b"%PDF-")
            continue
        with Image.open(io.BytesIO(content)) as seen:
            sizes.append(seen.size)
            assert seen.info["dpi"] == (300, 300)
    # (mm + 2 x 3) x 300 / 25.4, in the photo's orientation.
    assert sizes == [(1252, 1843), (543, 780)]
    assert len(keys) == 3
    api.close()


def test_order_repeated_key_creates_one_order(order_lab: OrderLab) -> None:
    api = order_lab.api()
    product = order_lab.product(STOCK)
    lines = [order_lab.line(product)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: api.order(lines, "sandbox-ok", DELIVERY, "twice"), range(8)))
    assert len({order["id"] for order in made}) == 1
    with pytest.raises(ApiProblem) as caught:
        api.order([order_lab.line(product, 2)], "sandbox-ok", DELIVERY, "twice")
    assert (caught.value.status, caught.value.slug) == (422, "idempotency-key-reused")
    api.ended(made[0]["id"])
    assert order_lab.payment(made[0]["id"]).charged == 1
    assert order_lab.stock(product).sold == 1
    api.close()


def test_order_interrupted_start_is_resumed_by_the_schedule(
    order_lab: OrderLab,
) -> None:
    """The emulator's schedule triggers start-orders."""
    product = order_lab.product(STOCK)
    with closing(order_lab.api()) as api, closing(order_lab.state.database()) as database:
        orders, user_id = Orders(database), api.session()["user"]["id"]
        line = NewLine(product, order_lab.image_id, QUANTITY)
        # As after a crash of create-order right after its commit.
        interrupted, young = (
            orders.create(
                NewOrder(user_id, order_lab.email, (line,), "sandbox-ok", Delivery(**DELIVERY))
            ).id
            for _ in range(2)
        )
        with database.transaction() as cursor:
            for order_id, shift in ((interrupted, -INTERRUPTED_AFTER), (young, SCHEDULE_DELAY_MAX)):
                cursor.execute(
                    "UPDATE orders SET created_at = created_at + %s WHERE id = %s",
                    [shift, order_id],
                )
        order = api.ended(
            interrupted, seconds=SCHEDULE_DELAY_MAX.total_seconds() + SCENARIO_TIMEOUT_SECONDS
        )
        assert order["status"] == "shipped"
        assert sorted(mails_of(order_lab, interrupted, 3)) == sorted(SHIPPED_MAILS)
        assert order_lab.payment(interrupted) == Payment(1, QUANTITY * PRICE_MINOR, 1)
        # A younger order is left to its create-order.
        left = orders.get(young)
        assert left is not None
        assert (left.status, left.started_at) == (OrderStatus.CREATED, None)
        assert order_lab.stock(product).sold == QUANTITY
        orders.mark_started(young)


def test_order_late_and_repeated_messages_change_nothing(order_lab: OrderLab) -> None:
    api = order_lab.api()
    product = order_lab.product(STOCK)
    order = api.ended(api.order([order_lab.line(product)], "sandbox-ok", DELIVERY)["id"])
    mails = mails_of(order_lab, order["id"], 3)
    state = order_lab.state
    sqs = state.session.client("sqs")
    for kind, functions in (
        ("order.created", ("send-order-confirmation",)),
        ("payment.received", ("record-payment", "send-payment-receipt")),
        ("order.shipped", ("send-order-shipped",)),
    ):
        event = order_event(OrderEventType(kind), order["id"])
        for function in functions:
            for _ in range(2):
                sqs.send_message(QueueUrl=state.queues[function].url, MessageBody=enveloped(event))
    for step in ("ValidateOrder", "CheckInventory", "ProcessPayment", "FulfillOrder"):
        body = {
            "token": "already answered",
            "state": step,
            "heartbeat_seconds": 60,
            "input": {"order_id": order["id"]},
        }
        name = "".join("-" + c.lower() if c.isupper() else c for c in step).lstrip("-")
        sqs.send_message(QueueUrl=state.queues[name].url, MessageBody=json.dumps(body))
    await_empty(order_lab)
    assert api.order_of(order["id"]) == order
    assert order_lab.mails(order["id"]) == mails
    assert order_lab.payment(order["id"]).charged == 1
    assert order_lab.stock(product).sold == 1
    api.close()


def enveloped(event: OrderEvent) -> str:
    """The message body with which SNS delivers the event to a queue."""
    sent: list[str] = []

    class Sns:
        def publish(self, *, Message: str, **_: Any) -> None:  # noqa: N803  SNS's name
            sent.append(Message)

    publish(Sns(), "topic", event)
    return json.dumps({"Type": "Notification", "Message": sent[0]})


def test_orders_exceeding_stock_never_oversell(order_lab: OrderLab) -> None:
    product = order_lab.product(50)

    def order(number: int) -> str:
        api = order_lab.api()
        try:
            made = retried(
                lambda: api.order(
                    [order_lab.line(product)], "sandbox-ok", DELIVERY, f"rush-{number}"
                )
            )
            return str(api.ended(made["id"], seconds=SCENARIO_TIMEOUT_SECONDS)["status"])
        finally:
            api.close()

    with ThreadPoolExecutor(40) as pool:
        ends = Counter(pool.map(order, range(200)))
    assert ends == {"shipped": 50, "out_of_stock": 150}
    stock = order_lab.stock(product)
    assert (stock.on_hand, stock.reserved, stock.sold) == (0, 0, 50)
