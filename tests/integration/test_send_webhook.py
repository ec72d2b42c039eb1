"""send-webhook on real queues and tables: distribution, repetition, dead letters, switching off."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from services.client.webhooks import verify
from services.events.images import ImageEvent, ImageEventType
from services.events.orders import OrderEventType, order_event
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.local.provision import provision
from services.local.topology import restricted
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from services.platform.manifest import Feature
from services.webhooks.addresses import AddressPolicy
from services.webhooks.delivery import Caller
from services.webhooks.endpoints import (
    ROTATION_SECONDS,
    DeploymentEndpoints,
    EndpointStore,
)
from services.webhooks.model import (
    DEPLOYMENT,
    DisabledReason,
    WebhookEventType,
    new_secret,
)
from services.webhooks.send_webhook import Delivery, SendWebhook, WebhookFailedError, parse_delivery
from tests.support.clock import Clock
from tests.support.declarations import lab_topology, manifests
from tests.support.loopback import Reply, Served, scripted, serving
from tests.support.waiting import HTTP_SECONDS, scaled


class Queue:
    """The function's own queue, with delays that are left out: `ahead` has the delay of each
    message that was sent, in seconds."""

    def __init__(self, sqs: Any, url: str) -> None:
        self.sqs, self.url, self.ahead = sqs, url, list[int]()

    def send_message(self, **arguments: Any) -> None:
        self.ahead.append(arguments.pop("DelaySeconds"))
        self.sqs.send_message(**arguments)

    def receive(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        for one in answer.get("Messages", ()):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return list(answer.get("Messages", ()))


@dataclasses.dataclass
class Scenario:
    """A function, its queue, and a user."""

    function: SendWebhook
    queue: Queue
    clock: Clock
    manager: Any
    secret_arn: str
    owner: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def store(self) -> EndpointStore:
        return self.function.endpoints

    def handle(self, body: str, *, replayed: bool = False) -> None:
        message = Message("m", body, 1, False, time.monotonic() + scaled(60), replayed)
        self.function.handle(message)

    def run(self) -> None:
        """Handles the messages in the queue until there is none; each when it is due."""
        while messages := self.queue.receive():
            for one in messages:
                delivery = parse_delivery(one["Body"])
                assert delivery is not None
                self.clock.now = max(self.clock.now, delivery.not_before)
                self.handle(one["Body"])

    def set(self, url: str, *events: WebhookEventType) -> tuple[str, str]:
        """Sets a webhook of the user; its id and secret."""
        endpoint, secret = self.store.set(self.owner, url, events, rotate=False)
        assert secret is not None
        return endpoint.id, secret

    def delivery(self, id_: str, attempts: int, seconds: int) -> Delivery:
        """A call of the user's webhook that is due in `seconds`."""
        due = self.clock.now + seconds
        return Delivery("e", "image.developed", "{}", self.owner, id_, attempts, due)

    def set_deployment(self, *endpoints: dict[str, Any]) -> None:
        text = json.dumps({"endpoints": endpoints})
        self.manager.put_secret_value(SecretId=self.secret_arn, SecretString=text)


@pytest.fixture
def scenario(cloud: Emulator) -> Scenario:
    session = LocalSession(cloud.endpoint)
    own = [item for item in manifests(Feature.CUSTOMERS) if item.name == "send-webhook"]
    used = restricted(lab_topology(), own)
    lab = provision(session, used, own, prefix=f"t{uuid.uuid4().hex[:8]}")
    clock, dynamodb = Clock(1_800_000_000.0), session.client("dynamodb")
    manager, url = session.client("secretsmanager"), lab.queues["send-webhook"].url
    queue = Queue(session.client("sqs"), url)
    arn = next(
        value for key, value in lab.values.items() if key.name == "webhooks" and ":secret:" in value
    )
    function = SendWebhook(
        EndpointStore(dynamodb, lab.table("webhooks"), clock),
        DeploymentEndpoints(lambda: manager, arn),
        IdempotencyStore(dynamodb, lab.table("idempotency"), 45, 3600, clock),
        Caller(AddressPolicy(loopback=True), scaled(HTTP_SECONDS), clock=clock),
        lambda: queue,
        url,
        clock=clock,
    )
    return Scenario(function, queue, clock, manager, arn)


def photo_event(owner: str, type_: ImageEventType = ImageEventType.DEVELOPED) -> str:
    event = ImageEvent(
        id=uuid.uuid4().hex,
        type=type_,
        time="2026-11-27T20:00:00+00:00",
        owner=owner,
        image_id="a" * 32,
        source_key=f"{owner}/1/a.jpg",
        filename="a.jpg",
        recipient="grace@example.com",
        recipient_name="Grace",
        width=3,
        height=2,
    )
    data = {k: v for k, v in dataclasses.asdict(event).items() if v is not None}
    ids = {name: data.pop(name) for name in ("id", "type", "time")}
    return json.dumps({**ids, "data": data})


def ids(receiver: Served) -> list[str]:
    return [one.headers["webhook-id"] for one in receiver.received]


def test_event_is_sent_signed_to_the_owners_webhook(scenario: Scenario) -> None:
    event = photo_event(scenario.owner)
    with scripted(Reply(200)) as receiver:
        _, secret = scenario.set(f"{receiver.url}/hook")
        scenario.handle(event)
        scenario.run()
    (call,) = receiver.received
    assert verify([secret], call.headers, call.body, scenario.clock.now) == json.loads(event)["id"]
    sent = json.loads(call.body)
    assert (sent["type"], sent["data"]["image_id"]) == ("image.developed", "a" * 32)
    assert "grace" not in call.body.decode().lower()


def test_order_event_is_sent_to_its_customer_only(scenario: Scenario) -> None:
    other = dataclasses.replace(scenario, owner=str(uuid.uuid4()))
    event = order_event(OrderEventType.SHIPPED, "order-1", owner=scenario.owner)
    values = dataclasses.asdict(event)
    body = json.dumps({**{n: values.pop(n) for n in ("id", "type", "time")}, "data": values})
    with scripted(Reply(200)) as receiver, serving(lambda _: Reply(200)) as foreign:
        scenario.set(receiver.url)
        other.set(foreign.url)
        scenario.handle(body)
        scenario.run()
    assert json.loads(receiver.received[0].body)["data"] == {
        "owner": scenario.owner,
        "order_id": "order-1",
    }
    assert foreign.received == []


def test_webhook_gets_the_events_that_it_wants(scenario: Scenario) -> None:
    with scripted(Reply(200)) as receiver:
        scenario.set(receiver.url, WebhookEventType.IMAGE_REJECTED)
        for type_ in (ImageEventType.DEVELOPED, ImageEventType.REJECTED, ImageEventType.DELETED):
            scenario.handle(photo_event(scenario.owner, type_))
        scenario.run()
    assert json.loads(receiver.received[0].body)["type"] == "image.rejected"


def test_same_event_again_is_not_sent_again(scenario: Scenario) -> None:
    event = photo_event(scenario.owner)
    with scripted(Reply(200)) as receiver:
        scenario.set(receiver.url)
        for _ in range(3):
            scenario.handle(event)
        scenario.run()
    assert len(receiver.received) == 1


def test_failed_call_is_repeated_with_growing_pauses_and_the_same_id(scenario: Scenario) -> None:
    failures = [Reply(500), None, Reply(302, {}, {"location": "http://127.0.0.1:1/"})]
    with scripted(*failures, Reply(200)) as receiver:
        scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
    assert len(set(ids(receiver))) == 1
    assert len(receiver.received) == 4
    pauses = zip(scenario.queue.ahead[1:], [(2, 5), (15, 30), (60, 120)], strict=True)
    assert all(low <= pause <= high + 1 for pause, (low, high) in pauses)


def test_retry_after_lengthens_the_pause(scenario: Scenario) -> None:
    with scripted(Reply(503, {}, {"retry-after": "3600"}), Reply(200)) as receiver:
        scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        began = scenario.clock.now
        scenario.run()
    assert scenario.clock.now >= began + 3600
    assert scenario.queue.ahead[1] == 900
    assert len(receiver.received) == 2


def test_message_before_its_time_is_sent_again_and_not_called(scenario: Scenario) -> None:
    with serving(lambda _: Reply(200)) as receiver:
        id_, _ = scenario.set(receiver.url)
        early = Delivery(
            "e", "image.developed", "{}", scenario.owner, id_, 1, scenario.clock.now + 1000
        )
        scenario.handle(json.dumps({"webhook_delivery": dataclasses.asdict(early)}))
    assert receiver.received == []
    assert scenario.queue.ahead == [900]
    (left,) = scenario.queue.receive()
    assert parse_delivery(left["Body"]) == early


def test_last_failure_makes_a_dead_letter_and_switches_off(scenario: Scenario) -> None:
    scenario.function = dataclasses.replace(scenario.function, retry_seconds=(1,))
    url = "/?key=word"
    with serving(lambda _: Reply(500, {"echo": "word"})) as receiver:
        id_, _ = scenario.set(receiver.url + url)
        scenario.handle(photo_event(scenario.owner))
        with (
            structlog.testing.capture_logs() as logged,
            pytest.raises(WebhookFailedError) as failed,
        ):
            scenario.run()
        assert len(receiver.received) == 2
        found = scenario.store.get(scenario.owner, id_)
        assert found is not None
        assert found.disabled is DisabledReason.FAILING
        # Further events are not sent.
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
        assert len(receiver.received) == 2
    assert "failed 2 times: status 500" in str(failed.value)
    assert "word" not in str(failed.value) + str(logged)


def test_replayed_dead_letter_is_sent_although_the_webhook_is_off(scenario: Scenario) -> None:
    with scripted(Reply(200)) as receiver:
        id_, _ = scenario.set(receiver.url)
        found = scenario.store.get(scenario.owner, id_)
        assert found is not None
        scenario.store.disable(found, DisabledReason.FAILING)
        letter = Delivery(
            "e", "image.developed", "{}", scenario.owner, id_, 8, scenario.clock.now + 99
        )
        scenario.handle(json.dumps({"webhook_delivery": dataclasses.asdict(letter)}), replayed=True)
    assert ids(receiver) == ["e"]


def test_gone_switches_off_until_it_is_set_again(scenario: Scenario) -> None:
    with scripted(Reply(410), Reply(200)) as receiver:
        id_, _ = scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
        assert len(receiver.received) == 1
        again, secret = scenario.store.set(scenario.owner, receiver.url, (), rotate=False)
        assert (again.id, again.disabled, secret) == (id_, None, None)
        scenario.handle(photo_event(scenario.owner))
        scenario.run()


def test_webhook_that_fails_delays_no_other(scenario: Scenario) -> None:
    with serving(lambda _: Reply(500)) as failing, scripted(Reply(200)) as receiver:
        scenario.set(failing.url)
        scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        for one in scenario.queue.receive():
            scenario.handle(one["Body"])
        assert len(receiver.received) == 1


def test_both_secrets_sign_after_a_rotation_for_a_day(scenario: Scenario) -> None:
    with scripted(Reply(200), Reply(200)) as receiver:
        _, former = scenario.set(receiver.url)
        _, new = scenario.store.set(scenario.owner, receiver.url, (), rotate=True)
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
        scenario.clock.now += ROTATION_SECONDS
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
    signatures = [one.headers["webhook-signature"].split() for one in receiver.received]
    assert [*map(len, signatures)] == [2, 1]
    first = receiver.received[0]
    for secret in (former, str(new)):
        verify([secret], first.headers, first.body, scenario.clock.now - ROTATION_SECONDS)


def test_deployment_gets_the_events_of_all_owners(scenario: Scenario) -> None:
    secrets = [new_secret(), new_secret()]
    with scripted(Reply(200), Reply(410)) as receiver:
        scenario.set_deployment({"url": receiver.url, "secrets": secrets})
        for owner in ("anna", "ben", "carl"):
            scenario.handle(photo_event(owner))
            scenario.run()
    assert [json.loads(one.body)["data"]["owner"] for one in receiver.received] == ["anna", "ben"]
    for secret in secrets:
        call = receiver.received[0]
        verify([secret], call.headers, call.body, scenario.clock.now)
    assert [*scenario.store.disabled(DEPLOYMENT).values()] == [DisabledReason.GONE]


def broken(change: Callable[[dict[str, Any]], Any]) -> str:
    document = {"url": "https://example.com/", "secrets": [new_secret()], "events": []}
    return json.dumps({"endpoints": [change(document)]})


@pytest.mark.parametrize(
    "value",
    [
        "no JSON",
        "[]",
        "{}",
        broken(lambda document: {**document, "secrets": []}),
        broken(lambda document: {**document, "secrets": ["whsec_short"]}),
        broken(lambda document: {**document, "events": ["image.unknown"]}),
        broken(lambda document: {"secrets": document["secrets"]}),
    ],
    ids=["text", "list", "empty", "no secret", "short secret", "unknown event", "no address"],
)
def test_wrong_secret_of_the_deployment_stops_no_webhook_of_a_user(
    scenario: Scenario, value: str
) -> None:
    scenario.manager.put_secret_value(SecretId=scenario.secret_arn, SecretString=value)
    with scripted(Reply(200)) as receiver, structlog.testing.capture_logs() as logged:
        scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        scenario.run()
    assert [one["event"] for one in logged if one["log_level"] == "error"] == [
        "webhook_secret_invalid"
    ]
    assert "whsec_" not in str(logged)


def test_deleted_webhook_gets_no_pending_event(scenario: Scenario) -> None:
    with serving(lambda _: Reply(200)) as receiver:
        id_, _ = scenario.set(receiver.url)
        scenario.handle(photo_event(scenario.owner))
        assert scenario.store.delete(scenario.owner, id_)
        assert not scenario.store.delete(scenario.owner, id_)
        scenario.run()
    assert receiver.received == []
