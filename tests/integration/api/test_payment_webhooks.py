"""The payment provider's webhooks: authorized by the signature over the raw body."""

from __future__ import annotations

import json
import time
import uuid

import httpx
import pytest

from services.local.state import LabState
from services.payments.webhooks import TOLERANCE_SECONDS, sign
from tests.support.waiting import HTTP_SECONDS, scaled


@pytest.fixture(scope="module")
def secret(lab: LabState) -> str:
    manager = lab.session.client("secretsmanager")
    value = json.loads(manager.get_secret_value(SecretId="darkroom-payments")["SecretString"])
    return str(value["webhook_secret"])


def notice(order_id: str | None = None) -> bytes:
    return json.dumps(
        {
            "id": f"evt_{uuid.uuid4().hex}",
            "type": "payment.received" if order_id else "payment.pondered",
            "payment": {
                "id": "pay_1",
                "order_id": order_id,
                "amount_minor": 100,
                "currency": "EUR",
            },
        }
    ).encode()


def send(lab: LabState, body: bytes, signature: str | None) -> httpx.Response:
    headers = {"content-type": "application/json"}
    if signature is not None:
        headers["payment-signature"] = signature
    return httpx.post(
        f"{lab.api}/payments/notices", content=body, headers=headers, timeout=scaled(HTTP_SECONDS)
    )


def test_webhook_signed_is_received(lab: LabState, secret: str) -> None:
    body = notice()
    for _ in range(2):
        answer = send(lab, body, sign(secret, body, time.time()))
        assert (answer.status_code, answer.json()) == (200, {"received": True})


def test_webhook_unsigned_is_refused(lab: LabState, secret: str) -> None:
    body, now = notice(), time.time()
    good = sign(secret, body, now)
    for wrong_body, signature in (
        (body, None),
        (body, ""),
        (body, "t=1,v1=00"),
        (body, sign("another secret", body, now)),
        (body + b" ", good),
        (body.replace(b"100", b"1"), good),
        (body, sign(secret, body, now - TOLERANCE_SECONDS - 5)),
        (body, sign(secret, body, now + TOLERANCE_SECONDS + 5)),
        (b"no JSON", sign(secret, b"no JSON", now)),
    ):
        answer = send(lab, wrong_body, signature)
        assert answer.status_code == 400, (wrong_body, signature)
        assert answer.json()["type"] == "urn:darkroom:problem:notice-refused"


def test_webhook_repeated_publishes_once(lab: LabState, secret: str) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:darkroom-order-events"
    sqs, sns = lab.session.client("sqs"), lab.session.client("sns")
    queue = sqs.create_queue(QueueName=f"listener-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    admit = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn["QueueArn"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admit]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"], ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    order_id = str(uuid.uuid4())
    body = notice(order_id)
    for _ in range(3):
        assert send(lab, body, sign(secret, body, time.time())).status_code == 200
    time.sleep(1)
    published = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            published += [message["Body"]] if order_id in message["Body"] else []
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)
    assert len(published) == 1
