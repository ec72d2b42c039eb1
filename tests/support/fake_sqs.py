"""A fake of the SQS operations that dead letters need."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SENT_MS = 1_790_000_000_000


@dataclass(frozen=True)
class FakeQueues:
    url: str
    dead_letter_url: str


@dataclass
class FakeSqs:
    """Queues by URL. A received message is hidden until its visibility is set to 0.

    `fail` gets the name and the arguments of each call before it is made, and may raise.
    """

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    fail: Callable[[str, dict[str, Any]], None] = lambda _name, _arguments: None
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Any = field(default_factory=itertools.count)

    def put(self, url: str, body: str, attributes: dict[str, Any] | None = None) -> str:
        message_id = f"m{next(self.numbers):04d}"
        self.messages.setdefault(url, []).append(
            {
                "MessageId": message_id,
                "ReceiptHandle": f"receipt-{message_id}",
                "Body": body,
                "Attributes": {"SentTimestamp": str(SENT_MS)},
                "MessageAttributes": attributes or {},
            }
        )
        return message_id

    def receive_message(self, **arguments: Any) -> dict[str, Any]:
        with self.lock:
            self.fail("receive_message", arguments)
            visible = [
                message
                for message in self.messages.get(arguments["QueueUrl"], [])
                if message["ReceiptHandle"] not in self.hidden
            ][: arguments["MaxNumberOfMessages"]]
            self.hidden |= {message["ReceiptHandle"] for message in visible}
            return {"Messages": visible} if visible else {}

    def get_queue_attributes(self, **arguments: Any) -> dict[str, Any]:
        self.fail("get_queue_attributes", arguments)
        messages = self.messages.get(arguments["QueueUrl"], [])
        hidden = sum(message["ReceiptHandle"] in self.hidden for message in messages)
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(messages) - hidden),
                "ApproximateNumberOfMessagesNotVisible": str(hidden),
            }
        }

    def change_message_visibility_batch(self, **arguments: Any) -> dict[str, Any]:
        self.fail("change_message_visibility_batch", arguments)
        for entry in arguments["Entries"]:
            change = self.hidden.add if entry["VisibilityTimeout"] else self.hidden.discard
            change(entry["ReceiptHandle"])
        return {}

    def delete_message(self, **arguments: Any) -> dict[str, Any]:
        self.fail("delete_message", arguments)
        queue = self.messages[arguments["QueueUrl"]]
        queue[:] = [m for m in queue if m["ReceiptHandle"] != arguments["ReceiptHandle"]]
        self.hidden.discard(arguments["ReceiptHandle"])
        return {}

    def send_message(self, **arguments: Any) -> dict[str, Any]:
        self.fail("send_message", arguments)
        self.put(arguments["QueueUrl"], arguments["MessageBody"], arguments["MessageAttributes"])
        return {}

    def bodies(self, url: str) -> list[str]:
        return [message["Body"] for message in self.messages.get(url, [])]
