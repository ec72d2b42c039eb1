"""Renews the leases on received messages until they are acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from services.runtime import output
from services.worker.batch import Message
from services.worker.sqs import MAX_BATCH_ENTRIES, Queue, QueueRefusedError, QueueUnavailableError

# Renewed after a third of the lease: two heartbeats may fail before it runs out.
RENEWALS_PER_LEASE = 3


class Leases:
    """The leases on all messages in hand. Safe for many threads."""

    def __init__(
        self, queue: Queue, seconds: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._seconds = seconds
        self._clock = clock
        self._renew_at: dict[Message, float] = {}
        self._lock = threading.Lock()
        self._renewing = threading.Lock()

    @property
    def seconds(self) -> int:
        return self._seconds

    def hold(self, messages: Iterable[Message]) -> None:
        """Renews the leases on `messages`, just received, from now on."""
        due = self._clock() + self._seconds / RENEWALS_PER_LEASE
        with self._lock:
            self._renew_at.update(dict.fromkeys(messages, due))

    def release(self, messages: Iterable[Message]) -> None:
        """Stops renewing the leases on `messages`. No renewal of them is under way afterwards, so a
        visibility that is set then stays."""
        with self._lock:
            held = [m for m in messages if self._renew_at.pop(m, None) is not None]
        if held:
            # Waits for a renewal that runs, which is rare.
            with self._renewing:
                pass

    def renew_due(self) -> None:
        """Renews the leases that are due. After a failure of the queue the next call retries."""
        while True:
            with self._renewing:
                now = self._clock()
                with self._lock:
                    due = [m for m, at in self._renew_at.items() if at <= now]
                if not due or not self._renew(due[:MAX_BATCH_ENTRIES], now):
                    return

    def _renew(self, due: list[Message], now: float) -> bool:
        try:
            entries = self._queue.change_visibility(dict.fromkeys(due, self._seconds))
        except (QueueUnavailableError, QueueRefusedError):
            return False  # the queue has logged it
        if entries.stale:
            output.logger().warning("lease_lost", message_ids=[m.id for m in entries.stale])
        with self._lock:
            for message in due:
                if message in entries.stale:
                    self._renew_at.pop(message, None)
                elif message in self._renew_at and message not in entries.again:
                    self._renew_at[message] = now + self._seconds / RENEWALS_PER_LEASE
        return not entries.again
