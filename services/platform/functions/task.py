"""The wrapper that makes a Lambda handler for a workflow's task out of a function for its input.

A task state of Step Functions sends a message to the function's queue and waits for an answer to
the token in it (`arn:aws:states:::sqs:sendMessage.waitForTaskToken`):

    {"token": "...", "state": "CheckInventory", "heartbeat_seconds": 900,
     "correlation_id": "...", "input": {...}}

What becomes of the work decides what becomes of both, the token and the message:

- It is done: the token is answered with the result.
- PermanentError: the token is answered with the error's name (`OutOfStock`) and cause, for the
  state machine to catch. It is an answer, not a failure of ours: there is no dead letter.
- TransientError, or anything unforeseen: the message comes back, and the state goes on waiting. The
  state machine does not try again as well. On the last allowed receive the token is answered with
  `RetriesExhausted`, and the message becomes a dead letter.
- The token is closed (it was answered, or timed out): the message is acknowledged and the work
  does not start.
- Step Functions is unavailable: the message comes back.

So the work is repeated when its answer was lost, and must be safe to repeat. Only the queue counts
attempts: the message of a function that dies comes back like any other.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from services.platform import deadline, log
from services.platform.aws.clients import error_code
from services.platform.aws.errors import is_transient
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.invocation import Handler
from services.platform.functions.sqs import Message, queue_function

RETRIES_EXHAUSTED: Final = "RetriesExhausted"
RESULT_TOO_LARGE: Final = "ResultTooLarge"
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
OUTPUT_MAX_BYTES: Final = 262_144
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
ERROR_MAX_CHARACTERS: Final = 256
CAUSE_MAX_CHARACTERS: Final = 32_768
# Errors for a closed token: the task was answered, timed out, or its execution has ended.
_NOT_AWAITED: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
# LocalStack sends the message before it takes heartbeats for its token: a token that is unknown at
# first is asked for again, after these pauses.
_UNKNOWN: Final = "InvalidToken"
_UNKNOWN_PAUSES_SECONDS: Final = (0.2, 0.8, 2.0)
# Two heartbeats may be lost without the state giving up.
_BEATS_PER_HEARTBEAT: Final = 3
_SHORTEST_BEAT_SECONDS: Final = 0.2
# A state's longest HeartbeatSeconds:
# https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html
_HEARTBEAT_SECONDS_MAX: Final = 99_999_999


@dataclass(frozen=True)
class Task:
    """What the work gets beside its input: the state that waits for it, and the message."""

    token: str = field(repr=False)
    state: str
    heartbeat_seconds: float
    message: Message = field(repr=False)  # the token is in its body


Work = Callable[[Mapping[str, Any], Task], Mapping[str, Any] | None]


def workflow_task(work: Work, stepfunctions: Any) -> Handler:
    """A Lambda handler that gives the input of each task to `work` and answers its token, through
    a client of Step Functions.

    An exception class may name itself to the state machine by an attribute `workflow_error`;
    otherwise it is called as in Python, without "Error" at the end.
    """
    return queue_function(_Runner(work, stepfunctions).handle)


def error_name(error: BaseException) -> str:
    """What the state machine calls `error`."""
    named = getattr(error, "workflow_error", None)
    name = named if isinstance(named, str) and named else type(error).__name__.removesuffix("Error")
    return (name or "Error")[:ERROR_MAX_CHARACTERS]


@dataclass(frozen=True)
class _Runner:
    work: Work
    stepfunctions: Any

    def handle(self, message: Message) -> None:
        task, given = _parse(message)
        log.bind(state=task.state)
        if not self._call(self._first_heartbeat, task):
            return
        try:
            with self._beating(task):
                result = self.work(given, task)
            output = json.dumps(result if result is not None else {}, allow_nan=False)
            if len(output) > OUTPUT_MAX_BYTES:  # ASCII: as many bytes
                raise _ResultTooLargeError(
                    f"expected a result of at most {OUTPUT_MAX_BYTES} bytes, got {len(output)}; "
                    "store it, and answer where it is"
                )
        except PermanentError as error:
            self._fail(task, error_name(error), str(error))
        except Exception as error:
            if message.last_receive:
                self._give_up(task, error)
            raise
        else:
            self._call(self.stepfunctions.send_task_success, task, output=output)

    def _first_heartbeat(self, taskToken: str) -> None:  # noqa: N803  as the client's call
        """A heartbeat that gives Step Functions time to know the token."""
        for pause_seconds in _UNKNOWN_PAUSES_SECONDS:
            try:
                self.stepfunctions.send_task_heartbeat(taskToken=taskToken)
            except Exception as error:
                if error_code(error) != _UNKNOWN:
                    raise
                time.sleep(pause_seconds)
            else:
                return
        self.stepfunctions.send_task_heartbeat(taskToken=taskToken)

    def _fail(self, task: Task, name: str, cause: str) -> None:
        log.logger().warning("task_failed", error=name, cause=cause)
        self._call(
            self.stepfunctions.send_task_failure,
            task,
            error=name,
            cause=_shortened(cause, CAUSE_MAX_CHARACTERS),
        )

    def _give_up(self, task: Task, error: Exception) -> None:
        """Answers as the last of all attempts. If that fails too, the state's own timeouts end it:
        the dead letter gives the reason why the work failed."""
        name = error_name(error)
        cause = f"{name} at attempt {task.message.receive_count}, the last: {error}"
        try:
            with deadline.reserve():
                self._fail(task, RETRIES_EXHAUSTED, cause)
        except Exception:  # noqa: BLE001  the reason to report is the work's
            log.logger().warning("task_answer_failed", exc_info=True)

    @contextmanager
    def _beating(self, task: Task) -> Iterator[None]:
        """Sends heartbeats to Step Functions from a thread."""
        done = threading.Event()
        pause = max(task.heartbeat_seconds / _BEATS_PER_HEARTBEAT, _SHORTEST_BEAT_SECONDS)

        def beat() -> None:
            while not done.wait(pause):
                try:
                    if not self._call(self.stepfunctions.send_task_heartbeat, task):
                        return
                except Exception:  # noqa: BLE001
                    # One that is lost does not matter, and the next may get through.
                    log.logger().warning("task_heartbeat_failed", exc_info=True)

        # In the message's context, so that the log names the message of the heartbeat.
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=[beat], name="task-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Not waited for: a heartbeat that is just on its way does no harm.
            done.set()

    def _call(self, call: Callable[..., Any], task: Task, **arguments: Any) -> bool:
        """Makes a call about the task's token; False when the token is closed.

        Raises TransientError when Step Functions is unavailable.
        """
        try:
            call(taskToken=task.token, **arguments)
        except Exception as error:
            if error_code(error) in _NOT_AWAITED:
                log.logger().warning(
                    "task_token_closed", state=task.state, reason=error_code(error)
                )
                return False
            if is_transient(error):
                raise TransientError(f"Step Functions does not answer: {error}") from error
            raise
        return True


class _ResultTooLargeError(PermanentError):
    workflow_error = RESULT_TOO_LARGE


def _parse(message: Message) -> tuple[Task, Mapping[str, Any]]:
    """The task and its input. Raises PermanentError for a message that is none."""
    try:
        document = json.loads(message.body)
        token, state, given = document["token"], document["state"], document["input"]
        heartbeat_seconds = float(document["heartbeat_seconds"])
        sound = (
            token
            and isinstance(token, str)
            and isinstance(state, str)
            and isinstance(given, dict)
            and 0 < heartbeat_seconds <= _HEARTBEAT_SECONDS_MAX
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        sound = False
    if not sound:
        raise PermanentError(
            'expected a task ({"token": "...", "state": "...", "heartbeat_seconds": N, "input": '
            f"{{...}}}}), got {len(message.body)} characters of something else"
        )
    return Task(token, state, heartbeat_seconds, message), given


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
