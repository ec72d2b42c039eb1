"""Faults x end states. The cells are ordered side by side in one lab, so each order meets some of
the others' faults as well; then every cell is looked at, and the books are balanced."""

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
from tests.integration.workflow.conftest import (
    DELIVERY,
    POSTER_MM,
    PRICE_MINOR,
    SMALL_MM,
    OrderLab,
    Payment,
)
from tests.support.photos import jpeg, scene

CELL_SECONDS = 240
# Longest until MiniStack fires start-orders' rule: a minute, and the pace at which it looks.
SCHEDULE = timedelta(seconds=75)
QUANTITY = 2
STOCK = 10
CONFIRMED = "We have your order"
RECEIPT = "Your receipt for order"
REJECTED = "We cannot print your order"
SHIPPED = "Your prints are on their way: order"
HAPPY = (CONFIRMED, RECEIPT, SHIPPED)
# The function that works while an order has this status.
WORKING = {
    "created": "validate-order",
    "validated": "check-inventory",
    "reserved": "process-payment",
    "paid": "fulfill-order",
}


@dataclass(frozen=True)
class Cell:
    """A fault, and how the order must end: status, what is charged and kept, e-mails."""

    name: str
    ends: tuple[str, ...]
    mails: tuple[str, ...] | None
    pay: str = "sandbox-ok"
    size_mm: tuple[int, int] = SMALL_MM
    stock: int = STOCK
    image_id: str = ""
    # Called with the lab, the customer's API and the order at the first sight of each status.
    fault: Callable[[OrderLab, Api, dict[str, Any]], None] | None = None
    fault_at: str = ""


@dataclass(frozen=True)
class Result:
    order: dict[str, Any]
    product_id: str


def kill_workers(lab: OrderLab, _api: Api, order: dict[str, Any]) -> None:
    """Three times in a row, so that the one after a restart is met as well."""
    for _ in range(3):
        lab.kill(WORKING[order["status"]])
        time.sleep(0.25)


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


CELLS = (
    Cell("nothing", ("shipped",), HAPPY),
    Cell("out of stock", ("out_of_stock",), (CONFIRMED, "Out of stock: order"), stock=1),
    Cell(
        "declined",
        ("payment_declined",),
        (CONFIRMED, "Your payment was declined: order"),
        pay="sandbox-declined",
    ),
    Cell(
        "too few pixels",
        ("rejected",),
        (CONFIRMED, REJECTED),
        size_mm=POSTER_MM,
    ),
    Cell(
        "somebody else's photo",
        ("rejected",),
        (CONFIRMED, REJECTED),
        image_id="0" * 32,
    ),
    Cell("provider times out, charged", ("shipped",), HAPPY, pay="sandbox-timeout"),
    Cell("provider times out, uncharged", ("shipped",), HAPPY, pay="sandbox-timeout-uncharged"),
    # Its webhook says that it is paid, its answers never do: whichever is believed, one end.
    Cell("provider never answers", ("shipped", "failed"), None, pay="sandbox-timeout-always"),
    Cell(
        "provider unavailable",
        ("failed",),
        (CONFIRMED, "Something went wrong with your order"),
        pay="sandbox-unavailable",
    ),
    Cell("provider answers twice", ("shipped",), HAPPY, pay="sandbox-double"),
    Cell("webhook before the answer", ("shipped",), HAPPY, pay="sandbox-webhook-first"),
    Cell("webhook lost", ("shipped",), HAPPY, pay="sandbox-webhook-lost"),
    Cell("provider killed", ("shipped",), HAPPY, fault=kill_provider, fault_at="reserved"),
    *(
        Cell(f"killed while {at}", ("shipped",), HAPPY, fault=kill_workers, fault_at=at)
        for at in WORKING
    ),
    *(
        Cell(f"Postgres away while {at}", ("shipped",), HAPPY, fault=restart_postgres, fault_at=at)
        for at in WORKING
    ),
    # Cancelled, or too late for that: the customer's request and the workflow race.
    *(
        Cell(f"cancelled while {at}", ("cancelled", "shipped"), None, fault=cancel, fault_at=at)
        for at in WORKING
    ),
)


@pytest.fixture(scope="module")
def results(order_lab: OrderLab) -> dict[str, Result]:
    """Every cell's order, at its end."""
    ended: dict[str, Result] = {}
    # In waves: a kill, a restart and a payment that times out each take one receive of a message
    # in hand, and all of them together more than it has.
    for faults in ({None}, {kill_workers, kill_provider, cancel}, {restart_postgres}):
        wave = [cell for cell in CELLS if cell.fault in faults]
        with ThreadPoolExecutor(len(wave)) as pool:
            futures = {cell.name: pool.submit(go, order_lab, cell) for cell in wave}
        ended |= {name: future.result() for name, future in futures.items()}
    return ended


def go(lab: OrderLab, cell: Cell) -> Result:
    api = lab.api()
    try:
        product = lab.product(cell.stock, cell.size_mm)
        line = lab.line(product, QUANTITY, cell.image_id)
        key = f"cell-{cell.name}"
        order = again(lambda: api.order([line], cell.pay, DELIVERY, key))
        for seen in watched(api, order["id"]):
            if cell.fault is not None and seen["status"] == cell.fault_at:
                cell.fault(lab, api, seen)
        return Result(again(lambda: api.order_of(order["id"])), product)
    finally:
        api.close()


def again(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A customer tries again when the lab asks for it."""
    give_up_at = time.monotonic() + 60
    while True:
        try:
            return call()
        except TransientError:
            assert time.monotonic() < give_up_at
            time.sleep(0.2)


def watched(api: Api, order_id: str) -> Iterator[dict[str, Any]]:
    """The order whenever its status is another one, until it has ended."""
    ends = {"shipped", "rejected", "out_of_stock", "payment_declined", "cancelled", "failed"}
    give_up_at = time.monotonic() + CELL_SECONDS
    status = ""
    while status not in ends:
        assert time.monotonic() < give_up_at, f"order {order_id} is still {status}"
        order = again(lambda: api.order_of(order_id))
        if order["status"] != status:
            status = order["status"]
            yield order
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_fault_ends_well(order_lab: OrderLab, results: dict[str, Result], cell: Cell) -> None:
    result = results[cell.name]
    order = result.order
    assert order["status"] in cell.ends, order["history"]
    shipped = order["status"] == "shipped"

    # Money and paper may follow an end by a moment.
    wanted = (QUANTITY * PRICE_MINOR if shipped else 0, QUANTITY if shipped else 0, 0)
    give_up_at = time.monotonic() + 60
    while True:
        payment, stock = order_lab.payment(order["id"]), order_lab.stock(result.product_id)
        if (payment.kept, stock.sold, stock.reserved) == wanted or time.monotonic() > give_up_at:
            break
        time.sleep(0.2)
    assert (payment.kept, stock.sold, stock.reserved) == wanted
    assert payment.charged <= 1
    assert payment.payments <= 1
    assert stock.on_hand + stock.sold == cell.stock

    statuses = [step["status"] for step in order["history"]]
    assert len(statuses) == len(set(statuses)), "a status was entered twice"
    if cell.mails is not None:
        # Each once; functions of their own send them, so a fault may change their order.
        found = mails_of(order_lab, order["id"], len(cell.mails))
        assert sorted(found) == sorted(cell.mails)


def mails_of(lab: OrderLab, order_id: str, count: int) -> list[str]:
    give_up_at = time.monotonic() + 30
    while len(lab.mails(order_id)) < count and time.monotonic() < give_up_at:
        time.sleep(0.2)
    return lab.mails(order_id)


def test_four_e_mails_in_their_order_and_print_files_to_the_pixel(
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
    assert mails_of(order_lab, order["id"], 3) == list(HAPPY)

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
    # (mm + 2 x 3) x 300 / 25.4, the photo's way up.
    assert sizes == [(1252, 1843), (543, 780)]
    assert len(keys) == 3
    api.close()


def test_the_same_order_sent_again_is_the_same_order(order_lab: OrderLab) -> None:
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


def test_an_order_whose_start_was_cut_off_is_started_though_nobody_orders(
    order_lab: OrderLab,
) -> None:
    """By the schedule, which is the emulator's own."""
    product = order_lab.product(STOCK)
    with closing(order_lab.api()) as api, closing(order_lab.state.database()) as database:
        orders, user_id = Orders(database), api.session()["user"]["id"]
        line = NewLine(product, order_lab.image_id, QUANTITY)
        # As a process leaves them that ends right after the commit.
        cut_off, young = (
            orders.create(
                NewOrder(user_id, order_lab.email, (line,), "sandbox-ok", Delivery(**DELIVERY))
            ).id
            for _ in range(2)
        )
        with database.transaction() as cursor:
            for order_id, shift in ((cut_off, -INTERRUPTED_AFTER), (young, SCHEDULE)):
                cursor.execute(
                    "UPDATE orders SET created_at = created_at + %s WHERE id = %s",
                    [shift, order_id],
                )
        order = api.ended(cut_off, seconds=SCHEDULE.total_seconds() + CELL_SECONDS)
        assert order["status"] == "shipped"
        assert sorted(mails_of(order_lab, cut_off, 3)) == sorted(HAPPY)
        assert order_lab.payment(cut_off) == Payment(1, QUANTITY * PRICE_MINOR, 1)
        # Whoever made it may just be starting it.
        left = orders.get(young)
        assert left is not None
        assert (left.status, left.started_at) == (OrderStatus.CREATED, None)
        assert order_lab.stock(product).sold == QUANTITY
        orders.mark_started(young)


def test_late_and_doubled_events_and_tasks_change_nothing(order_lab: OrderLab) -> None:
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
            "token": "answered long ago",
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
    """The event as SNS puts it into a queue."""
    sent: list[str] = []

    class Sns:
        def publish(self, *, Message: str, **_: Any) -> None:  # noqa: N803  SNS's name
            sent.append(Message)

    publish(Sns(), "topic", event)
    return json.dumps({"Type": "Notification", "Message": sent[0]})


def await_empty(lab: OrderLab) -> None:
    """Waits until nothing is in any queue."""
    state = lab.state
    sqs = state.session.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    give_up_at = time.monotonic() + 60
    for function, queue in state.queues.items():
        while True:
            got = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)["Attributes"]
            if not any(int(got[name]) for name in names):
                break
            assert time.monotonic() < give_up_at, f"{function} has messages: {got}"
            time.sleep(0.1)


@pytest.mark.slow
def test_two_hundred_orders_for_fifty_prints(order_lab: OrderLab) -> None:
    product = order_lab.product(50)

    def order(number: int) -> str:
        api = order_lab.api()
        try:
            made = again(
                lambda: api.order(
                    [order_lab.line(product)], "sandbox-ok", DELIVERY, f"rush-{number}"
                )
            )
            return str(api.ended(made["id"], seconds=CELL_SECONDS)["status"])
        finally:
            api.close()

    with ThreadPoolExecutor(40) as pool:
        ends = Counter(pool.map(order, range(200)))
    assert ends == {"shipped": 50, "out_of_stock": 150}
    stock = order_lab.stock(product)
    assert (stock.on_hand, stock.reserved, stock.sold) == (0, 0, 50)
