"""CloudEvents 1.0 on SNS topics, and the envelope of a queue message.

Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, get_type_hints

from services.platform import log
from services.platform.errors import PermanentError

# Attributes of the CloudEvent; every other field of an event belongs to its `data`.
_ATTRIBUTES = frozenset({"id", "type", "time"})


def message_group(owner: str) -> str:
    """The message group of an owner in SQS. Owners may have other characters than groups, and more.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
    """
    return hashlib.sha256(owner.encode()).hexdigest()[:32]


class CloudEvent(Protocol):
    """A dataclass with the attributes of a CloudEvent. `time` is ISO 8601 text in UTC; `id` is the
    same for every delivery of the same event."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> StrEnum: ...
    @property
    def time(self) -> str: ...


Event = TypeVar("Event", bound=CloudEvent)


def deterministic_id(*parts: str) -> str:
    """An event id derived from `parts`, as 32 hexadecimal digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def publish_event(
    sns: Any,
    topic_arn: str,
    event: CloudEvent,
    *,
    source: str,
    subject: str,
    attributes: Mapping[str, str] = MappingProxyType({}),
    owner: str | None = None,
) -> None:
    """Publishes `event`, with its type and `attributes` as message attributes for subscription
    filters, and the correlation id of the running invocation as another. `owner` is whose event it
    is: queues that are fair deliver the events of other owners before those of one with many."""
    correlation_id = log.correlation_id()
    if correlation_id is not None:
        attributes = {**attributes, log.CORRELATION_ID: correlation_id}
    values: dict[str, Any] = dataclasses.asdict(event)  # type: ignore[call-overload]
    data = {k: v for k, v in values.items() if k not in _ATTRIBUTES and v is not None}
    document = {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type.value,
        "subject": subject,
        "time": event.time,
        "datacontenttype": "application/json",
        "data": data,
    }
    group = {} if owner is None else {"MessageGroupId": message_group(owner)}
    sns.publish(
        **group,
        TopicArn=topic_arn,
        Message=json.dumps(document),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in {"type": event.type.value, **attributes}.items()
        },
    )


def parse_event(body: str, model: type[Event], kind: str) -> Event:
    """The event of type `model` in a queue message. `kind` names it in errors ("an order event").

    Ignores fields that `model` does not have, so that producers can add some. Raises
    PermanentError for any other message.
    """
    document = open_envelope(body)
    hints = get_type_hints(model)
    make: Any = model
    try:
        data = {k: v for k, v in document["data"].items() if k in hints.keys() - _ATTRIBUTES}
        event: Event = make(
            id=document["id"], type=hints["type"](document["type"]), time=document["time"], **data
        )
        for name in hints.keys() - {"type"}:
            _check_type(name, getattr(event, name), hints[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"the message is not {kind}: expected {kind}, got {str(document)[:200]!r} ({error!r})"
        ) from None
    return event


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Raises TypeError when `value` is not of the annotated type. A required text is not empty."""
    if hint is str:
        if not isinstance(value, str) or not value:
            raise TypeError(f"{name} is {value!r}, expected text")
    # By type, not by isinstance: True is an int.
    elif type(value) not in hint.__args__:
        raise TypeError(f"{name} is {value!r}, expected {hint}")


def open_envelope(body: str) -> dict[str, Any]:
    """The JSON object in a queue message, taken out of the SNS notification if there is one.

    Raises PermanentError when there is no JSON object.
    """
    document = _object(body, "a message body")
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        return _object(document["Message"], "a Message of an SNS notification")
    return document


def _object(text: str, part: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter for thousands of nested brackets
        raise PermanentError(
            f"invalid JSON: expected {part} that is a JSON object, got {text[:80]!r} ({error})"
        ) from None
    if not isinstance(document, dict):
        raise PermanentError(f"expected {part} that is a JSON object, got {text[:80]!r}")
    return document
