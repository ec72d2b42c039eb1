"""send-webhook: calls the endpoints of an event's owner and of the deployment.

An event becomes one message for each endpoint, in the function's own queue, so that an endpoint
that fails delays no other. A failed call is repeated by a new message with a delay, because the
visibility of a message cannot be chosen by a function on Lambda: every failure comes back after
the queue's visibility timeout there. Receivers may get an event more than once, always with the
same `webhook-id`.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from services.events.cloudevents import message_group
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from services.webhooks.delivery import Caller, DeliveryError
from services.webhooks.endpoints import DeploymentEndpoints, EndpointStore
from services.webhooks.model import (
    DEPLOYMENT,
    RETRY_SECONDS,
    DisabledReason,
    Endpoint,
    signed_headers,
)
from services.webhooks.payload import Call, call_about

# The maximum of SQS. A longer pause is waited for in parts.
DELAY_SECONDS_MAX = 900
# A message that comes this early is sent.
_EARLY_SECONDS = 1.0
_FIELD = "webhook_delivery"
_random = random.SystemRandom().random


class WebhookFailedError(PermanentError):
    """The last attempt to deliver an event failed."""


@dataclass(frozen=True)
class Delivery:
    """A message that has one endpoint called about one event. `attempts` have failed so far;
    `not_before` is when to try (seconds since the epoch)."""

    id: str
    type: str
    body: str
    owner: str
    endpoint: str
    attempts: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class SendWebhook:
    """Handles events and deliveries. `sqs` makes the client, which events without endpoints do not
    need; `queue_url` is the function's own queue."""

    endpoints: EndpointStore
    deployment: DeploymentEndpoints
    claims: IdempotencyStore
    caller: Caller
    sqs: Callable[[], Any]
    queue_url: str
    retry_seconds: tuple[int, ...] = RETRY_SECONDS
    clock: Callable[[], float] = time.time

    def handle(self, message: Message) -> None:
        """Distributes one event, or calls one endpoint. Raises WebhookFailedError, and
        PermanentError for another message."""
        delivery = parse_delivery(message.body)
        if delivery is None:
            self._distribute(call_about(message.body))
        elif delivery.not_before > self.clock() + _EARLY_SECONDS and not message.replayed:
            self._send([delivery])
        else:
            self._deliver(delivery, message)

    def _distribute(self, call: Call) -> None:
        log.bind(event_id=call.id, event_type=call.type)
        found = [*self.deployment.all()]
        if call.owner is not None:
            found += self.endpoints.of_owner(call.owner)
        wanting = [e for e in found if e.disabled is None and e.wants(call.type)]
        self._send(Delivery(call.id, call.type, call.body, e.owner, e.id) for e in wanting)
        if wanting:
            log.logger().info("webhook_distributed", endpoints=len(wanting))

    def _deliver(self, delivery: Delivery, message: Message) -> None:
        log.bind(event_id=delivery.id, event_type=delivery.type, webhook=delivery.endpoint)
        endpoint = self._endpoint(delivery)
        if endpoint is None or (endpoint.disabled is not None and not message.replayed):
            log.logger().info("webhook_endpoint_off")
            return
        try:
            self.claims.run_once(
                f"webhook#{endpoint.id}#{delivery.id}", {}, lambda: self._call(endpoint, delivery)
            )
        except DeliveryError as error:
            # A replay is one more attempt.
            self._after_failure(endpoint, delivery, error)

    def _call(self, endpoint: Endpoint, delivery: Delivery) -> int:
        body, now = delivery.body.encode(), self.clock()
        headers = signed_headers(delivery.id, body, endpoint.signing(now), now)
        status = self.caller.post(endpoint.url, headers, body)
        log.logger().info("webhook_sent", status=status, host=_host(endpoint))
        return status

    def _after_failure(self, endpoint: Endpoint, delivery: Delivery, error: DeliveryError) -> None:
        """Has the call repeated. Switches the endpoint off after 410, and, unless it is the
        deployment's, after the last attempt."""
        attempts = delivery.attempts + 1
        logger = log.logger()
        logger.info("webhook_not_sent", reason=str(error), attempts=attempts, host=_host(endpoint))
        if error.is_gone:
            self._disable(endpoint, DisabledReason.GONE)
            return
        if attempts > len(self.retry_seconds):
            if endpoint.owner != DEPLOYMENT:
                self._disable(endpoint, DisabledReason.FAILING)
            raise WebhookFailedError(
                f"webhook {endpoint.id} at {_host(endpoint)} failed {attempts} times: {error}"
            )
        pause = self.retry_seconds[attempts - 1]
        delay = max(pause / 2 + pause / 2 * _random(), error.retry_after or 0)
        again = Delivery(
            **{
                **asdict(delivery),
                "attempts": attempts,
                "not_before": round(self.clock() + delay, 3),
            }
        )
        self._send([again])

    def _disable(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        self.endpoints.disable(endpoint, reason)
        log.logger().warning("webhook_endpoint_disabled", reason=reason.value)

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        if delivery.owner != DEPLOYMENT:
            return self.endpoints.get(delivery.owner, delivery.endpoint)
        found = next((e for e in self.deployment.all() if e.id == delivery.endpoint), None)
        if found is not None and found.id in self.endpoints.disabled(DEPLOYMENT):
            return None
        return found

    def _send(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            left = math.ceil(delivery.not_before - self.clock())
            self.sqs().send_message(
                QueueUrl=self.queue_url,
                MessageBody=json.dumps({_FIELD: asdict(delivery)}),
                DelaySeconds=min(max(left, 0), DELAY_SECONDS_MAX),
                # Endpoints that fail do not hold up those of others (fair queues).
                MessageGroupId=message_group(delivery.endpoint),
                MessageAttributes=_correlation(),
            )


def parse_delivery(body: str) -> Delivery | None:
    """The delivery in a message's body; None for any other message."""
    if f'"{_FIELD}"' not in body[:40]:
        return None
    try:
        return Delivery(**json.loads(body)[_FIELD])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.url).hostname or ""


def _correlation() -> dict[str, Any]:
    found = log.correlation_id()
    if found is None:
        return {}
    return {log.CORRELATION_ID: {"DataType": "String", "StringValue": found}}
