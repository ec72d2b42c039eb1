"""SQS as the worker uses it: bounded calls; logs each outage and each recovery once.

Every call has a timeout and is made once; the caller decides about retries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from services.platform.aws import dead_letter
from services.platform.errors import PermanentError, TransientError
from services.runtime import output
from services.worker.batch import Failure, Message, message

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BATCH_ENTRIES = 10
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 10
# Errors of status 4xx that a retry can cure; the others would be the same again.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_PASSING = frozenset(
    {
        "RequestThrottled",
        "Throttling",
        "ThrottlingException",
        "RequestTimeout",
        "RequestExpired",
        "ExpiredToken",
        "ExpiredTokenException",
        "KmsThrottled",
        "OverLimit",
    }
)
_STALE = frozenset(
    {"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight", "InvalidParameter"}
)


# A failed call that nothing repeats (a lease, a dead letter) is reported for this long.
REPORTED_SECONDS = 300.0


class Operation(StrEnum):
    """The calls whose outages are tracked separately."""

    RECEIVE = "receive"
    DELETE = "delete"
    CHANGE_VISIBILITY = "change-visibility"
    DEAD_LETTER = "dead-letter"


_REPEATED = frozenset({Operation.RECEIVE, Operation.DELETE})


class QueueUnavailableError(TransientError):
    """The call failed now; a retry may succeed."""


class QueueRefusedError(PermanentError):
    """The call was refused: invalid request, missing permission, or no such queue."""


@dataclass(frozen=True)
class BatchResult:
    """The failed entries of a batch request: those to retry, and those whose receipt is stale."""

    again: tuple[Message, ...]
    stale: tuple[Message, ...]


@dataclass(frozen=True)
class Clients:
    """SQS clients that all queues of a worker share: one for long polls, one for other calls."""

    receiving: Any
    calling: Any


def make_clients(region: str, poll_wait_seconds: int, connections: int) -> Clients:
    """Clients with up to `connections` connections each."""
    session = boto3.session.Session()

    def sqs(read_timeout: float) -> Any:
        return session.client(
            "sqs",
            region_name=region,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=connections,
                # The worker's own calls are tested; validating each costs as much as the call.
                parameter_validation=False,
            ),
        )

    return Clients(sqs(poll_wait_seconds + READ_TIMEOUT_SECONDS), sqs(READ_TIMEOUT_SECONDS))


@dataclass(frozen=True)
class _Outage:
    since: float
    error: str
    refused: bool
    failed_at: float


class Queue:
    """One queue and, where given, its dead letter queue. Safe for many threads.

    Calls raise QueueUnavailableError or QueueRefusedError.
    """

    def __init__(
        self,
        url: str,
        dead_letter_url: str | None,
        poll_wait_seconds: int,
        clients: Clients,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._poll_wait_seconds = poll_wait_seconds
        self._receiving = clients.receiving
        self._sqs = clients.calling
        self._clock = clock
        self._lock = threading.Lock()
        self._outages: dict[Operation, _Outage] = {}
        self.last_received_at = clock()

    @property
    def keeps_dead_letters(self) -> bool:
        return self._dead_letter_url is not None

    def receive(
        self, maximum: int, visibility_seconds: int, wait_seconds: int | None = None
    ) -> list[Message]:
        """Up to `maximum` (at most 10) messages. Waits for the first up to `wait_seconds`, by
        default as long as the configured long poll."""
        answer = self._call(
            Operation.RECEIVE,
            self._receiving.receive_message,
            QueueUrl=self._url,
            MaxNumberOfMessages=min(maximum, MAX_BATCH_ENTRIES),
            VisibilityTimeout=visibility_seconds,
            WaitTimeSeconds=self._poll_wait_seconds if wait_seconds is None else wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        self.last_received_at = self._clock()
        return [message(document) for document in answer.get("Messages", ())]

    def delete(self, messages: Sequence[Message]) -> BatchResult:
        """Deletes up to 10 messages."""
        return self._batch(
            Operation.DELETE, self._sqs.delete_message_batch, messages, [{} for _ in messages]
        )

    def change_visibility(self, seconds: Mapping[Message, int]) -> BatchResult:
        """Makes each of up to 10 messages visible after its number of seconds."""
        return self._batch(
            Operation.CHANGE_VISIBILITY,
            self._sqs.change_message_visibility_batch,
            list(seconds),
            [{"VisibilityTimeout": value} for value in seconds.values()],
        )

    def send_dead_letter(
        self, item: Message, failure: Failure, request_id: str, function: str
    ) -> None:
        """Sends a copy, with the reason and the attributes of its sender, to the dead letter
        queue."""
        attributes = dead_letter.attributes(
            reason=failure.reason,
            error_type=failure.error_type,
            request_id=request_id,
            attempts=item.receive_count,
            function=function,
            sender=item.document.get("MessageAttributes"),
            body=item.body,
        )
        self._call(
            Operation.DEAD_LETTER,
            self._sqs.send_message,
            QueueUrl=self._dead_letter_url,
            MessageBody=item.body,
            MessageAttributes=attributes,
        )

    def _batch(
        self,
        operation: Operation,
        call: Callable[..., Any],
        messages: Sequence[Message],
        extras: Sequence[dict[str, Any]],
    ) -> BatchResult:
        answer = self._call(
            operation,
            call,
            QueueUrl=self._url,
            Entries=[
                {"Id": str(i), "ReceiptHandle": item.receipt_handle, **extra}
                for i, (item, extra) in enumerate(zip(messages, extras, strict=True))
            ],
        )
        again: list[Message] = []
        stale: list[Message] = []
        for failed in answer.get("Failed", ()):
            item = messages[int(failed["Id"])]
            sure = failed.get("Code") in _STALE or failed.get("SenderFault", False)
            (stale if sure else again).append(item)
        return BatchResult(tuple(again), tuple(stale))

    def _call(self, operation: Operation, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            answer = call(**arguments)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            code = error.response.get("Error", {}).get("Code", "")
            passing = status >= 500 or status == 429 or code.split(".")[-1] in _PASSING
            self._note_failure(operation, f"{code}: {error}", refused=not passing)
            if passing:
                raise QueueUnavailableError(str(error)) from error
            raise QueueRefusedError(str(error)) from error
        except (BotoCoreError, ResponseParserError, OSError) as error:
            self._note_failure(operation, f"{type(error).__name__}: {error}", refused=False)
            raise QueueUnavailableError(str(error)) from error
        self._note_success(operation)
        return answer

    def _note_failure(self, operation: Operation, error: str, *, refused: bool) -> None:
        with self._lock:
            now = self._clock()
            known = self._outages.get(operation)
            since = now if known is None else known.since
            self._outages[operation] = _Outage(since, error, refused, now)
            if known is not None and known.refused == refused:
                return
        event = "queue_refused" if refused else "queue_unavailable"
        output.logger().warning(event, operation=operation.value, queue=self._url, error=error)

    def _note_success(self, operation: Operation) -> None:
        if operation not in self._outages:
            return
        with self._lock:
            outage = self._outages.pop(operation, None)
        if outage is not None:
            output.logger().info(
                "queue_recovered",
                operation=operation.value,
                queue=self._url,
                seconds_away=round(self._clock() - outage.since, 1),
            )

    @property
    def receiving_works(self) -> bool:
        """Whether the last receive succeeded."""
        return Operation.RECEIVE not in self._outages

    @property
    def error(self) -> str:
        """The operation and the error of a failure that lasts; empty while all calls succeed.

        Receives and deletes are repeated until they succeed. The other calls are not, so their
        failure is reported for REPORTED_SECONDS: there may be no next call that succeeds.
        """
        with self._lock:
            now = self._clock()
            return "; ".join(
                f"{name.value}: {one.error}"
                for name, one in self._outages.items()
                if name in _REPEATED or now - one.failed_at < REPORTED_SECONDS
            )

    @property
    def refuses_deletes(self) -> bool:
        """Whether processed messages cannot be deleted: the worker does no further work."""
        with self._lock:
            outage = self._outages.get(Operation.DELETE)
            return outage is not None and outage.refused
