"""Endpoints in the DynamoDB table `webhooks`, and those that the deployment's secret lists.

An item holds the secrets of its endpoint, since they sign each call. The table is encrypted, and
only the functions of webhooks, and of account deletion and export, may read it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.aws.errors import is_transient
from services.platform.aws.items import Item, from_item, pages, to_attribute, to_item
from services.platform.errors import PermanentError, TransientError
from services.webhooks.model import (
    DEPLOYMENT,
    DisabledReason,
    Endpoint,
    Secret,
    WebhookEventType,
    endpoint_id,
    new_secret,
    secret_key,
)

ENDPOINTS_PER_OWNER = 10
# How long the former secret signs too after a rotation.
ROTATION_SECONDS = 24 * 3600
_SECRET_CACHE_SECONDS = 300.0


@dataclass(frozen=True)
class EndpointStore:
    """Reads and writes the table (hash key `owner`, range key `endpoint`)."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def of_owner(self, owner: str) -> list[Endpoint]:
        """The endpoints of a user, the oldest first."""
        found = [_endpoint(item) for item in self._items(owner)]
        return sorted(found, key=lambda endpoint: (endpoint.created_at, endpoint.id))

    def get(self, owner: str, id_: str) -> Endpoint | None:
        """An endpoint of a user; None for an unknown one."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_key(owner, id_), ConsistentRead=True
        )
        return _endpoint(answer["Item"]) if "Item" in answer else None

    def set(
        self, owner: str, url: str, events: Collection[WebhookEventType], *, rotate: bool
    ) -> tuple[Endpoint, str | None]:
        """Creates the endpoint of `url`, or changes the one that exists: its events, and with
        `rotate` its secret, beside which the former one signs for ROTATION_SECONDS. Switches it on
        again. Returns the endpoint, and its new secret if there is one."""
        now = int(self.clock())
        id_ = endpoint_id(owner, url)
        before = self.get(owner, id_)
        created: str | None = None
        if before is None or rotate:
            created = new_secret()
            former = (
                ()
                if before is None
                else (dataclasses.replace(before.secrets[0], valid_until=now + ROTATION_SECONDS),)
            )
            valid = (Secret(created), *former)
        else:
            valid = before.secrets
        endpoint = Endpoint(
            id=id_,
            owner=owner,
            url=url,
            events=frozenset(event.value for event in events),
            secrets=valid,
            created_at=before.created_at
            if before is not None
            else datetime.fromtimestamp(now, UTC).isoformat(),
        )
        self.dynamodb.put_item(TableName=self.table, Item=_item(endpoint))
        return endpoint, created

    def delete(self, owner: str, id_: str) -> bool:
        """Deletes an endpoint. Returns False when the user has no such endpoint."""
        answer = self.dynamodb.delete_item(
            TableName=self.table, Key=_key(owner, id_), ReturnValues="ALL_OLD"
        )
        return "Attributes" in answer

    def delete_all(self, owner: str) -> None:
        """Deletes every endpoint of a user."""
        for item in [*self._items(owner)]:
            self.delete(owner, item["endpoint"]["S"])

    def disable(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        """Switches an endpoint off, unless it was deleted."""
        condition = (
            {}
            if endpoint.owner == DEPLOYMENT
            else {"ConditionExpression": "attribute_exists(endpoint)"}
        )
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(endpoint.owner, endpoint.id),
                UpdateExpression="SET disabled = :reason",
                ExpressionAttributeValues={":reason": to_attribute(reason.value)},
                **condition,
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def disabled(self, owner: str) -> dict[str, DisabledReason]:
        """The endpoints of an owner that are switched off, by id."""
        found = map(from_item, self._items(owner))
        return {i["endpoint"]: DisabledReason(i["disabled"]) for i in found if "disabled" in i}

    def _items(self, owner: str) -> Iterator[Item]:
        for page in pages(
            self.dynamodb.query,
            TableName=self.table,
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": to_attribute(owner)},
            ConsistentRead=True,
        ):
            yield from page


@dataclass
class DeploymentEndpoints:
    """The endpoints in the deployment's secret, which is read again after five minutes:
    {"endpoints": [{"url": ..., "secrets": ["whsec_...", ...], "events": [...]}]}. Each of the
    secrets signs; without `events` an endpoint is called for all. `manager` makes the client of
    Secrets Manager."""

    manager: Callable[[], Any]
    arn: str
    clock: Callable[[], float] = time.monotonic
    _read: tuple[Endpoint, ...] | None = field(default=None, repr=False)
    _read_at: float = 0.0

    def all(self) -> tuple[Endpoint, ...]:
        """All endpoints; none without a value, and none if the value is wrong, which is logged.
        Raises TransientError while Secrets Manager is unavailable."""
        if self._read is None or self.clock() - self._read_at > _SECRET_CACHE_SECONDS:
            self._read, self._read_at = self._fetch(), self.clock()
        return self._read

    def _fetch(self) -> tuple[Endpoint, ...]:
        try:
            text = self.manager().get_secret_value(SecretId=self.arn).get("SecretString")
        except Exception as error:
            if error_code(error) == "ResourceNotFoundException":
                return ()
            if is_transient(error):
                raise TransientError("cannot read the secret of webhooks") from error
            raise
        if not text:
            return ()
        try:
            return tuple(map(_of_deployment, json.loads(text)["endpoints"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PermanentError):
            # Without the cause: its message may contain a secret.
            log.logger().error("webhook_secret_invalid")
            return ()


def _of_deployment(document: dict[str, Any]) -> Endpoint:
    url, texts = document["url"], document["secrets"]
    events = document.get("events", [])
    if not isinstance(url, str) or not isinstance(texts, list) or not texts:
        raise TypeError("an endpoint has a url and secrets")
    for text in texts:
        secret_key(text)
    return Endpoint(
        # With other secrets it is another endpoint, which is not switched off.
        id=endpoint_id(DEPLOYMENT, url, *texts),
        owner=DEPLOYMENT,
        url=url,
        events=frozenset(WebhookEventType(event).value for event in events),
        secrets=tuple(map(Secret, texts)),
    )


def _key(owner: str, id_: str) -> Item:
    return to_item({"owner": owner, "endpoint": id_})


def _item(endpoint: Endpoint) -> Item:
    return to_item(
        {
            "owner": endpoint.owner,
            "endpoint": endpoint.id,
            "url": endpoint.url,
            # DynamoDB has no empty set.
            "events": sorted(endpoint.events),
            "secrets": [dataclasses.asdict(secret) for secret in endpoint.secrets],
            "created_at": endpoint.created_at,
            "disabled": None if endpoint.disabled is None else endpoint.disabled.value,
        }
    )


def _endpoint(item: Item) -> Endpoint:
    values = from_item(item)
    disabled = values.get("disabled")
    return Endpoint(
        id=values["endpoint"],
        owner=values["owner"],
        url=values["url"],
        events=frozenset(values["events"]),
        secrets=tuple(Secret(**secret) for secret in values["secrets"]),
        created_at=values["created_at"],
        disabled=None if disabled is None else DisabledReason(disabled),
    )
