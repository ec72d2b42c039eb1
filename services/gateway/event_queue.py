"""Receives events from an SQS queue that subscribes to topics, while a stream is open."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from services.gateway.event_stream import Event
from services.runtime import output
from services.runtime.backoff import pause

# A receive ends at once when a message comes, so this costs no time.
WAIT_SECONDS = 10
TIMEOUT_SECONDS = 5.0
BATCH = 10
RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 15.0


class EventQueue:
    """Polls the queue in a thread between `start` and `stop`, which the event loop calls.

    Messages are deleted before their events are delivered: an event without a stream is lost.
    """

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, deliver: Callable[[Event], None]):
        self._url = url
        self._loop = loop
        self._deliver = deliver
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._wanted.set()
        if self._thread is None:
            # A daemon: the end of the process does not wait for a receive.
            self._thread = threading.Thread(target=self._run, name="event-queue", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """The receive that is running still ends by itself."""
        self._wanted.clear()

    def _run(self) -> None:
        client = None
        failures = 0
        while self._wanted.wait():
            try:
                client = client or _client()
                found = self._receive(client)
            except Exception as error:  # noqa: BLE001  received again; nothing else could be done
                failures += 1
                if failures == 1:
                    output.logger().warning("event_queue_unavailable", reason=str(error))
                time.sleep(pause(failures, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS))
                continue
            if failures:
                output.logger().info("event_queue_available", failures=failures)
                failures = 0
            for event in found:
                try:
                    self._loop.call_soon_threadsafe(self._deliver, event)
                except RuntimeError:  # the event loop is closed: the gateway stops
                    return

    def _receive(self, client: Any) -> list[Event]:
        answer = client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=WAIT_SECONDS
        )
        messages = answer.get("Messages", [])
        if not messages:
            return []
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        events = [read_event(message["Body"]) for message in messages]
        return [event for event in events if event is not None]


def read_event(body: str) -> Event | None:
    """The CloudEvent in an SNS notification; None for anything else, and for an event that belongs
    to no owner."""
    try:
        notification = json.loads(body)
        document = json.loads(notification["Message"])
        owner = document["data"]["owner"]
        cause = notification.get("MessageAttributes", {}).get("correlation_id", {}).get("Value", "")
        event = Event(owner, document["type"], document["subject"], document["time"], cause)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    texts = (event.owner, event.type, event.subject, event.time, event.cause)
    return event if all(isinstance(one, str) for one in texts) and event.owner else None


def _client() -> Any:
    """An SQS client. Imported here: a gateway without this queue needs no AWS client."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "sqs",
        config=Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=WAIT_SECONDS + TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},
        ),
    )
