"""Acknowledges batches: deletes messages, returns them to the queue, or sends dead letters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.runtime import output
from services.runtime.backoff import pause
from services.worker.batch import Failure, Message
from services.worker.configuration import SQS_MAX_VISIBILITY_SECONDS
from services.worker.leases import Leases
from services.worker.sqs import (
    MAX_BATCH_ENTRIES,
    BatchResult,
    Queue,
    QueueRefusedError,
    QueueUnavailableError,
)
from services.worker.stopping import Stop

RETRY_BASE_SECONDS = 0.2
RETRY_CAP_SECONDS = 10.0
# Messages are handed back while the worker stops, which they must not delay.
HAND_BACK_SECONDS = 5.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which pauses a message is retried; whole seconds."""

    function: str
    max_receive_count: int
    backoff_base_seconds: int
    backoff_cap_seconds: int


class Acknowledger:
    """Acknowledges batches. Safe for many threads; failures of the queue raise nothing."""

    def __init__(self, queue: Queue, leases: Leases, policy: RetryPolicy, stop: Stop) -> None:
        self._queue = queue
        self._leases = leases
        self._policy = policy
        self._stop = stop

    def acknowledge(
        self, messages: Sequence[Message], failed: Mapping[str, Failure], request_id: str
    ) -> None:
        """Deletes what succeeded. What failed comes back after its back-off, or is a dead letter
        when this was its last allowed receive."""
        try:
            self._delete([m for m in messages if m.id not in failed])
            if failed:
                failing = [m for m in messages if m.id in failed]
                self._retry_later(
                    [
                        m
                        for m in failing
                        if not self._dead_lettered(
                            m, failed[m.id], request_id, self._leases.seconds
                        )
                    ]
                )
        finally:
            self._leases.release(messages)

    def hand_back(self, messages: Sequence[Message], why: Failure) -> None:
        """Makes messages that were not processed visible at once.

        On its last allowed receive a message becomes a dead letter with the reason: SQS would move
        it to the dead letter queue without one.
        """
        back = [m for m in messages if not self._dead_lettered(m, why, "", HAND_BACK_SECONDS)]
        self._set_visibility(dict.fromkeys(back, 0), HAND_BACK_SECONDS)
        self._leases.release(messages)
        output.logger().info(
            "messages_handed_back", function=self._policy.function, messages=len(messages)
        )

    def _delete(self, messages: Sequence[Message]) -> None:
        # Leases are renewed meanwhile, so that no other worker repeats the work. Retried for as
        # long as a receipt can be valid; the poller waits for it before its next acknowledgement.
        self._persist(messages, self._queue.delete, SQS_MAX_VISIBILITY_SECONDS, refusal_ends=False)

    def _dead_lettered(
        self, message: Message, failure: Failure, request_id: str, patience_seconds: float
    ) -> bool:
        """Whether the message was sent to the dead letter queue and deleted here. If that queue
        refuses it, SQS moves the message after its next receive, without a reason."""
        if (
            not self._queue.keeps_dead_letters
            or message.receive_count < self._policy.max_receive_count
        ):
            return False
        give_up_at = time.monotonic() + patience_seconds
        attempt = 0
        while True:
            try:
                self._queue.send_dead_letter(message, failure, request_id, self._policy.function)
            except QueueRefusedError:
                return False
            except QueueUnavailableError:
                attempt += 1
                if self._stop.forced.is_set() or time.monotonic() >= give_up_at:
                    return False
                self._stop.forced.wait(pause(attempt, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS))
            else:
                break
        output.logger().error(
            "dead_letter_sent",
            function=self._policy.function,
            message_id=message.id,
            request_id=request_id,
            attempts=message.receive_count,
            error_type=failure.error_type,
            reason=failure.reason,
        )
        self._delete([message])
        return True

    def _retry_later(self, messages: Sequence[Message]) -> None:
        seconds = {
            m: math.ceil(
                pause(
                    m.receive_count,
                    self._policy.backoff_base_seconds,
                    self._policy.backoff_cap_seconds,
                )
            )
            for m in messages
        }
        self._set_visibility(seconds, self._leases.seconds)

    def _set_visibility(self, seconds: Mapping[Message, int], patience_seconds: float) -> None:
        messages = list(seconds)
        self._leases.release(messages)
        self._persist(
            messages,
            lambda chunk: self._queue.change_visibility({m: seconds[m] for m in chunk}),
            # After its lease a message is visible anyway.
            patience_seconds,
            refusal_ends=True,
        )

    def _persist(
        self,
        messages: Sequence[Message],
        call: Callable[[Sequence[Message]], BatchResult],
        patience_seconds: float,
        *,
        refusal_ends: bool,
    ) -> None:
        """Repeats `call`, ten messages at a time, until it succeeded for each message, its receipt
        is stale, or `patience_seconds` have passed."""
        pending = list(messages)
        give_up_at = time.monotonic() + patience_seconds
        attempt = 0
        while pending:
            chunk, rest = pending[:MAX_BATCH_ENTRIES], pending[MAX_BATCH_ENTRIES:]
            try:
                entries = call(chunk)
            except QueueUnavailableError:
                entries = BatchResult(again=tuple(chunk), stale=())
            except QueueRefusedError:
                if refusal_ends:
                    return
                entries = BatchResult(again=tuple(chunk), stale=())
            if entries.stale:
                # Another worker has received the message since, or it was deleted.
                output.logger().warning("receipt_stale", message_ids=[m.id for m in entries.stale])
            pending = [*rest, *entries.again]
            if entries.again:
                attempt += 1
                if self._stop.forced.is_set() or time.monotonic() >= give_up_at:
                    output.logger().warning(
                        "acknowledgement_abandoned", message_ids=[m.id for m in pending]
                    )
                    return
                self._stop.forced.wait(pause(attempt, RETRY_BASE_SECONDS, RETRY_CAP_SECONDS))
