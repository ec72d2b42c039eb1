"""The handler of receive-payment on the emulator: each signed event is published once."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import EndpointConnectionError

from services.events.orders import OrderEvent, parse_order_event
from services.local.emulator import aws_environment
from services.local.payment_sandbox import Method, PaymentProvider
from services.local.state import PROJECT
from services.payments.sandbox_gateway import SandboxGateway
from services.payments.webhooks import TOLERANCE_SECONDS, sign
from services.platform import manifest
from services.platform.aws import clients
from tests.integration.conftest import Provisioned
from tests.integration.payments.conftest import SANDBOX_KEY, WEBHOOK_SECRET, Inbox
from tests.support.waiting import scaled

FUNCTION = PROJECT / "images" / "receive-payment"


class Context:
    aws_request_id = "lambda-request"
    function_name = "receive-payment"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Receiver:
    """The handler, and a queue that receives its events."""

    def __init__(self, module: Any, resources: Provisioned) -> None:
        self.handler = module.handler
        self.resources = resources
        self.queue = resources.lab.queues["record-payment"].url

    def take(
        self,
        body: bytes | str,
        headers: dict[str, str] | None = None,
        *,
        base64_encoded: bool = False,
    ) -> tuple[int, dict[str, Any]]:
        raw = body.encode() if isinstance(body, str) else body
        given = signed(raw) if headers is None else headers
        answer = self.handler(
            {
                "version": "2.0",
                "routeKey": "POST /payments/notices",
                "rawPath": "/payments/notices",
                "headers": given,
                "requestContext": {"requestId": "api", "http": {"sourceIp": "192.0.2.7"}},
                "body": base64.b64encode(raw).decode() if base64_encoded else raw.decode(),
                "isBase64Encoded": base64_encoded,
            },
            Context(),
        )
        return answer["statusCode"], json.loads(answer["body"])

    def published(self, order: str, at_least: int = 1) -> list[OrderEvent]:
        """The events of an order: at least `at_least`, and those that follow shortly after."""
        sqs = self.resources.session.client("sqs")
        found: list[OrderEvent] = []
        end_at, settled = time.monotonic() + scaled(10), False
        while time.monotonic() < end_at:
            if len(found) >= at_least and not settled:
                end_at, settled = time.monotonic() + 0.15, True
            answer = sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
            )
            for message in answer.get("Messages", []):
                event = parse_order_event(message["Body"])
                found += [event] if event.order_id == order else []
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.05)
        return found


def signed(body: bytes, at: float | None = None, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    now = time.time() if at is None else at
    return {"content-type": "application/json", "payment-signature": sign(secret, body, now)}


@pytest.fixture
def receiver(resources: Provisioned) -> Iterator[Receiver]:
    spec = importlib.util.spec_from_file_location("receive_payment", FUNCTION / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    environment = aws_environment(resources.session.endpoint) | resources.lab.environment(
        manifest.load(FUNCTION)
    )
    with patch.dict(os.environ, environment):
        clients.client.cache_clear()
        spec.loader.exec_module(module)
        yield Receiver(module, resources)
    clients.client.cache_clear()


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


def notice(order: str, **changes: Any) -> bytes:
    payment = {"id": f"pay-{order}", "order_id": order, "amount_minor": 1995, "currency": "EUR"}
    event = {"id": f"evt-{order}", "type": "payment.received", "created": 1, "payment": payment}
    return json.dumps(event | changes).encode()


def test_repeated_event_publishes_one_payment(receiver: Receiver, order: str) -> None:
    body = notice(order)
    assert [receiver.take(body)[0] for _ in range(3)] == [200, 200, 200]
    (event,) = receiver.published(order)
    assert (event.type, event.charge_id, event.amount_minor, event.currency) == (
        "payment.received", f"pay-{order}", 1995, "EUR",
    )  # fmt: skip


def test_concurrent_events_publish_one_payment(receiver: Receiver, order: str) -> None:
    """Events that arrive while another is being published get a 503."""
    body = notice(order)
    with ThreadPoolExecutor(8) as pool:
        statuses = [status for status, _ in pool.map(receiver.take, [body] * 8)]
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert receiver.take(body)[0] == 200
    assert len(receiver.published(order)) == 1


@pytest.mark.parametrize("base64_encoded", [False, True])
def test_base64_body_is_decoded(receiver: Receiver, order: str, base64_encoded: bool) -> None:
    body = notice(order, note="Grüße, 写真")
    assert receiver.take(body, base64_encoded=base64_encoded)[0] == 200
    assert len(receiver.published(order)) == 1


@pytest.mark.parametrize("base64_encoded", [False, True])
@pytest.mark.parametrize(
    "headers",
    [
        lambda _: {"content-type": "application/json"},
        lambda body: signed(body, secret="another"),
        lambda body: signed(body, secret=""),
        lambda body: signed(body + b" "),
        lambda body: signed(base64.b64encode(body)),
        lambda body: signed(body, time.time() - TOLERANCE_SECONDS - 5),
        lambda body: signed(body, time.time() + TOLERANCE_SECONDS + 5),
        lambda body: {"stripe-signature": signed(body)["payment-signature"]},
    ],
    ids=["none", "secret", "empty", "body", "base64", "old", "future", "header"],
)
def test_unsigned_event_is_refused_and_not_published(
    receiver: Receiver,
    order: str,
    headers: Callable[[bytes], dict[str, str]],
    base64_encoded: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    body = notice(order)
    status, problem = receiver.take(body, headers(body), base64_encoded=base64_encoded)
    assert (status, problem["type"]) == (400, "urn:darkroom:problem:notice-refused")
    assert receiver.published(order, at_least=0) == []
    # The refused request does not count as received: the signed one still is.
    assert receiver.take(body)[0] == 200
    shown = json.dumps(problem) + "".join(capfd.readouterr())
    assert WEBHOOK_SECRET not in shown


@pytest.mark.parametrize(
    "type_", ["payment.declined", "payment.refunded", "customer.created", "of the future"]
)
def test_other_event_is_received_and_not_published(
    receiver: Receiver, order: str, type_: str
) -> None:
    assert receiver.take(notice(order, type=type_))[0] == 200
    assert receiver.published(order, at_least=0) == []


def test_signed_malformed_body_is_refused(receiver: Receiver, order: str) -> None:
    for body in (b"", b"no JSON", b"[]", notice(order, payment=None)):
        assert receiver.take(body)[0] == 400


def test_event_id_of_another_payment_is_refused(receiver: Receiver, order: str) -> None:
    """Providers never do that; it is neither published nor silently dropped."""
    other = {"id": "pay-0", "order_id": order, "amount_minor": 1, "currency": "EUR"}
    assert receiver.take(notice(order))[0] == 200
    assert receiver.take(notice(order, payment=other))[0] == 500
    assert len(receiver.published(order)) == 1


@pytest.mark.parametrize("service", ["sns", "dynamodb", "secretsmanager"])
def test_outage_answers_503(receiver: Receiver, order: str, service: str) -> None:
    body = notice(order)
    tries: list[None] = []

    def lost(**_: Any) -> None:
        tries.append(None)
        raise EndpointConnectionError(endpoint_url=f"https://{service}.example")

    events = clients.client(service).meta.events
    # First: close to the end of an invocation, a handler of clients.py sends the request itself.
    events.register_first("before-send", lost)
    assert receiver.take(body)[0] == 503
    events.unregister("before-send", lost)
    # The provider repeats the webhook.
    assert len(tries) == clients.ATTEMPTS
    assert receiver.published(order, at_least=0) == []
    assert receiver.take(body)[0] == 200
    assert len(receiver.published(order)) == 1


def test_sandbox_webhooks_are_received(
    receiver: Receiver, sandbox: PaymentProvider, inbox: Inbox, order: str
) -> None:
    """As the sandbox signs and sends them, each twice."""
    gateway = SandboxGateway(sandbox.url, SANDBOX_KEY, 10)
    payment = gateway.open(order, 1995, "EUR", Method.DOUBLE.value, "key-" + order)
    gateway.confirm(payment, "key")
    found = inbox.wait_for(order, 2)
    assert [receiver.take(one.body, dict(one.headers))[0] for one in found] == [200, 200]
    (event,) = receiver.published(order)
    assert (event.charge_id, event.amount_minor) == (payment, 1995)
