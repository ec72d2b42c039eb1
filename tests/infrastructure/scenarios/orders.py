"""Scenarios of orders and payments, with their failures."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

from services.events.orders import OrderEventType
from services.events.schedules import DETAIL_TYPE, SOURCE
from services.orders.model import Delivery, NewLine, NewOrder
from services.orders.products import Products
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.payments.configuration import Provider
from services.payments.webhooks import SIGNATURE_HEADERS, sign
from tests.infrastructure import customer
from tests.infrastructure.environment import WEBHOOK_SECRET, manifests
from tests.infrastructure.scenarios.run import (
    PRODUCT,
    SCARCE,
    Scenario,
    ScenarioRun,
    invoke,
)
from tests.support.waiting import HTTP_SECONDS, scaled


def ship_order(run: ScenarioRun, _folder: Path) -> None:
    run.api.products()
    list(run.api.orders())
    order_id = run.order()
    run.await_status(order_id, "shipped")


def start_interrupted_order(run: ScenarioRun, _folder: Path) -> None:
    """An order whose workflow was never started, and the next message of the schedule."""
    orders = Orders(run.lab.database)
    line = NewLine(PRODUCT, run.lab.photo["id"], 1)
    user = run.api.session()["user"]
    new = NewOrder(user["id"], user["email"], (line,), "sandbox-ok", Delivery(**customer.DELIVERY))
    order_id = orders.create(new).id
    with run.lab.database.transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET created_at = created_at - %s WHERE id = %s",
            [2 * INTERRUPTED_AFTER, order_id],
        )
    run.lab.client("sqs").send_message(
        QueueUrl=run.lab.output["queues"]["start-orders"]["url"],
        MessageBody=json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE}),
    )
    run.await_status(order_id, "shipped")


def repeat_order_events(run: ScenarioRun, _folder: Path) -> None:
    order_id = run.order()
    run.await_status(order_id, "shipped")
    for kind in (OrderEventType.CREATED, OrderEventType.PAYMENT_RECEIVED, OrderEventType.SHIPPED):
        run.publish_event(kind, order_id)


def repeat_problem_event(run: ScenarioRun, _folder: Path) -> None:
    order_id = run.order("sandbox-declined")
    run.await_status(order_id, "payment_declined")
    for _ in range(2):
        run.publish_event(OrderEventType.PAYMENT_DECLINED, order_id)


def order_out_of_stock(run: ScenarioRun, _folder: Path) -> None:
    Products(run.lab.database).offer(SCARCE)
    run.await_status(run.order(product=SCARCE.id), "out_of_stock")


def order_declined(run: ScenarioRun, _folder: Path) -> None:
    run.await_status(run.order("sandbox-declined"), "payment_declined")


def order_rejected(run: ScenarioRun, _folder: Path) -> None:
    run.await_status(run.order(image_id="0" * 32), "rejected")


def cancel_paid_order(run: ScenarioRun, _folder: Path) -> None:
    """Cancels a paid order that has a print file already."""
    with run.printing_blocked():
        order_id = run.order()
        run.await_status(order_id, "paid")
        _put_print_file(run, order_id)
        run.api.cancel_order(order_id)
        run.until("the refund", lambda: _is_refunded(run, order_id))


def order_failed(run: ScenarioRun, _folder: Path) -> None:
    """An order that fails because the payment provider stays unavailable."""
    order_id = run.order("sandbox-unavailable")
    _put_print_file(run, order_id)
    run.await_status(order_id, "failed")


def with_provider_refusing(scenario: Scenario, function: str) -> Scenario:
    """`scenario` while `function` has an API key that the payment provider refuses."""

    def refused(run: ScenarioRun, folder: Path) -> None:
        secrets = run.lab.client("secretsmanager")
        arn = run.lab.output["functions"][function]["environment"]["PAYMENTS_SECRET_ARN"]
        known = secrets.get_secret_value(SecretId=arn)["SecretString"]
        wrong = json.dumps({**json.loads(known), "api_key": "not-the-one"})
        secrets.put_secret_value(SecretId=arn, SecretString=wrong)
        run.lab.restart(function)
        try:
            with suppress(AssertionError):
                scenario(run, folder)
        finally:
            secrets.put_secret_value(SecretId=arn, SecretString=known)
            run.lab.restart(function)

    return refused


def payment_after_cancellation(run: ScenarioRun, _folder: Path) -> None:
    """The webhook of a payment arrives after the order was cancelled and before its refund."""
    with ExitStack() as stack:
        stack.enter_context(run.printing_blocked())
        stack.enter_context(
            run.blocked("fail-order", "secretsmanager:GetSecretValue", "SecretDatabase")
        )
        order_id = run.order("sandbox-webhook-lost")
        run.await_status(order_id, "paid")
        run.api.cancel_order(order_id)
        run.publish_event(OrderEventType.PAYMENT_RECEIVED, order_id)
        run.until("the refund", lambda: _is_refunded(run, order_id))


def with_receives_exhausted(function: str, scenario: Scenario) -> Scenario:
    """`scenario` while `function` fails until its messages have no receives left."""

    def exhausted(run: ScenarioRun, folder: Path) -> None:
        blocked = run.blocked(function, "secretsmanager:GetSecretValue", "SecretDatabase")
        with blocked, suppress(AssertionError):
            scenario(run, folder)
            run.until("the end", lambda: False)

    return exhausted


def payment_webhook(run: ScenarioRun, _folder: Path) -> None:
    """The payment provider sends the same webhook twice."""
    order_id = run.order()
    run.await_status(order_id, "shipped")
    payment = {"id": "pay_x", "order_id": order_id, "amount_minor": 39, "currency": "EUR"}
    body = json.dumps(
        {"id": f"evt_{uuid.uuid4().hex}", "type": "payment.received",
         "created": int(time.time()), "payment": payment}
    ).encode()  # fmt: skip
    (path,) = [m.http.only.path for m in manifests() if m.http and m.name == "receive-payment"]
    for _ in range(2):
        request = urllib.request.Request(
            run.api.url + path,
            data=body,
            headers={
                "content-type": "application/json",
                SIGNATURE_HEADERS[Provider.SANDBOX]: sign(WEBHOOK_SECRET, body, time.time()),
            },
        )
        with urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS)) as answer:
            assert answer.status == 200


def payment_webhook_not_published(run: ScenarioRun, folder: Path) -> None:
    """A webhook arrives while its event cannot be published."""
    with run.blocked("receive-payment", "sns:Publish"):
        payment_webhook(run, folder)


def migrate_database(run: ScenarioRun, _folder: Path) -> None:
    """Migrates the database schema by a direct invocation, as a release does."""
    invoke(run, "migrate-database", {})


def _put_print_file(run: ScenarioRun, order_id: str) -> None:
    """Writes a print file of an order, as an interrupted fulfilment leaves it."""
    owner = run.api.session()["user"]["id"]
    run.lab.client("s3").put_object(
        Bucket=run.lab.output["buckets"]["prints"],
        Key=f"{owner}/{order_id}/09-left-behind.jpg",
        Body=b"left",
    )


def _is_refunded(run: ScenarioRun, order_id: str) -> bool:
    with run.lab.database.transaction() as cursor:
        cursor.execute("SELECT 1 FROM orders WHERE id = %s AND settled_at IS NOT NULL", [order_id])
        return cursor.fetchone() is not None
