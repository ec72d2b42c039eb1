"""A queue in memory, with a script of what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.worker.batch import Failure, Message, message
from services.worker.sqs import BatchResult
from tests.support.clock import Clock


def received(identifier: str, receive_count: int = 1, receipt: str = "") -> Message:
    return message(
        {
            "MessageId": identifier,
            "ReceiptHandle": receipt or f"receipt-{identifier}",
            "Body": f"body of {identifier}",
            "Attributes": {"ApproximateReceiveCount": str(receive_count)},
        }
    )


class FakeQueue:
    """Stands in for services.worker.sqs.Queue. `script[operation]` holds, for the next calls of
    that operation, an exception to raise or a BatchResult to return; then every call succeeds."""

    def __init__(
        self,
        answers: Sequence[list[Message]] = (),
        clock: Clock | None = None,
        keeps_dead_letters: bool = True,
    ) -> None:
        self.answers = list(answers)
        self.clock = clock
        self.keeps_dead_letters = keeps_dead_letters
        self.script: dict[str, list[Any]] = {}
        self.receives: list[tuple[int, int, int | None]] = []
        self.deleted: list[list[str]] = []
        self.changed: list[dict[str, int]] = []
        self.dead: list[tuple[str, Failure, str, str]] = []

    def receive(
        self, maximum: int, visibility_seconds: int, wait_seconds: int | None = None
    ) -> list[Message]:
        self.receives.append((maximum, visibility_seconds, wait_seconds))
        self._scripted("receive")
        answer = self.answers.pop(0) if self.answers else []
        if self.clock is not None and not answer:
            self.clock.now += wait_seconds or 0
        return answer

    def delete(self, messages: Sequence[Message]) -> BatchResult:
        assert 1 <= len(messages) <= 10
        self.deleted.append([m.id for m in messages])
        return self._scripted("delete") or BatchResult((), ())

    def change_visibility(self, seconds: Mapping[Message, int]) -> BatchResult:
        assert 1 <= len(seconds) <= 10
        self.changed.append({m.id: value for m, value in seconds.items()})
        return self._scripted("change") or BatchResult((), ())

    def send_dead_letter(
        self, item: Message, failure: Failure, request_id: str, function: str
    ) -> None:
        self._scripted("dead")
        self.dead.append((item.id, failure, request_id, function))

    def _scripted(self, operation: str) -> Any:
        steps = self.script.get(operation)
        step = steps.pop(0) if steps else None
        if isinstance(step, Exception):
            raise step
        return step
