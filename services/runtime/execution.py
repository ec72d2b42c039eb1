"""One execution environment: a process that runs the handler.

It starts within a time limit and handles one event at a time, within the function's timeout and
memory. A failure costs one invocation and this process, never the worker.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from services.runtime import environment as bootstrap
from services.runtime.forked import TemplateClient, forkable
from services.runtime.function import HANDLER, Function, environment_variables
from services.runtime.logs import LogPump
from services.runtime.memory import MemoryProbe
from services.runtime.processes import ChildProcess, Process, exit_message
from services.runtime.runtime_api import BASE, MAX_PAYLOAD_BYTES, Event, Request, RuntimeApi

# How often memory is measured. The peak shows a short spike between two measurements afterwards.
TICK_SECONDS = 0.05
# After a response the runtime requests the next event at once; one that does not is stuck.
NEXT_SECONDS = 5.0
# An idle environment gets this long to go on SIGTERM before SIGKILL.
END_SECONDS = 1.0
# https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
_TRACE_ID = re.compile(r"[\x20-\x7e]{1,1024}")


class Outcome(StrEnum):
    """How an invocation ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    EXIT = "exit"
    MEMORY = "memory"
    STOPPED = "stopped"
    """The worker ended it in order to stop; the function did not fail."""


@dataclass(frozen=True)
class Invocation:
    """The result of one event. Durations in milliseconds, memory in MiB. `payload` is the handler's
    result as JSON when the outcome is SUCCESS, else empty."""

    request_id: str
    outcome: Outcome
    payload: bytes
    error_type: str
    error_message: str
    duration_ms: float
    peak_mib: float
    cold: bool
    init_ms: float


class InitError(Exception):
    """An environment that could not start."""

    def __init__(self, error_type: str, message: str) -> None:
        self.error_type = error_type
        self.message = message
        super().__init__(f"{error_type}: {message}")


class InitTimeoutError(InitError):
    """An environment that did not start within its limit."""

    def __init__(self, limit_seconds: int) -> None:
        super().__init__("Sandbox.Timedout", f"Init timed out after {limit_seconds} seconds")


class Stopping(Exception):  # noqa: N818  not an error
    """Raised by `Environment.start` when the worker stops before the start is complete."""


class Environment:
    """A process that runs one function. For one thread at a time, except `kill`."""

    def __init__(
        self,
        function: Function,
        stopping: Callable[[], bool] = lambda: False,
        template: TemplateClient | None = None,
    ) -> None:
        self._function = function
        self._stopping = stopping
        self._template = template if forkable(function.variables) else None
        self._api = RuntimeApi()
        self._process: Process | None = None
        self._lifeline: int | None = None
        self._deadline_fd: int | None = _shared_memory()
        self._logs: LogPump | None = None
        self._memory: MemoryProbe | None = None
        self._next: Request | None = None
        self._killed = False
        self._over_limit_mib = 0.0
        self._invoked = False
        self._init_ms = 0.0

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Starts the process and waits until it requests its first event.

        Raises InitError, or Stopping when the worker stops meanwhile.
        """
        started = time.monotonic()
        self._spawn()
        try:
            self._await_init(started + self._function.init_seconds)
        except BaseException:
            self.close()
            raise
        self._init_ms = (time.monotonic() - started) * 1000

    def ready(self) -> bool:
        """Whether it can handle an event now. After a response this waits briefly for the runtime
        to request the next event."""
        if self._over_limit_mib:
            return False
        if self._next is not None:
            # The runtime waits for our reply: the only thing that can happen is that it ends.
            event = self._api.wait(time.monotonic(), TICK_SECONDS, lambda: True)
            return event is Event.TIMED_OUT and self._api.connected(self._next) and self._alive()
        until = time.monotonic() + NEXT_SECONDS
        while True:
            got = self._api.wait(until, TICK_SECONDS, lambda: self._alive() and not self._killed)
            if isinstance(got, Event):
                return False
            if self._is_next(got):
                self._next = got
                return True
            self._refuse(got)

    def invoke(self, event: bytes, trace_id: str = "") -> Invocation:
        """Passes `event`, JSON, to the handler and returns how the invocation ended.

        Call only after `ready` returned True. `trace_id` is an X-Ray trace header; an invalid one
        is replaced. The environment may have ended afterwards: call `ready` again.
        """
        request_id = str(uuid.uuid4())
        memory, logs, waiting = self._memory, self._logs, self._next
        if memory is None or logs is None or waiting is None:
            raise RuntimeError("invoke was called before the environment was ready")
        self._next = None
        logs.catch_up()
        logs.request_id = request_id
        memory.reset_peak()
        timeout = self._function.timeout_seconds
        started = time.monotonic()
        deadline = started + timeout
        self._write_deadline(deadline)
        self._api.reply(
            waiting,
            HTTPStatus.OK,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self._function.arn,
                "Lambda-Runtime-Trace-Id": trace_id
                if _TRACE_ID.fullmatch(trace_id)
                else new_trace_id(),
            },
            event,
            timeout,
        )
        answer = self._await_response(request_id, deadline)
        duration_ms = (time.monotonic() - started) * 1000
        peak_mib = memory.peak_mib()
        if isinstance(answer, Event):
            peak_mib = max(peak_mib, self._over_limit_mib)
            outcome, error_type, message = self._end_unanswered(answer, request_id)
            payload = b""
        else:
            outcome, payload, error_type, message = self._read_response(answer)
            if memory.resident_mib() > self._function.memory_mib:
                # The invocation succeeded; only the environment is over its limit and must end.
                self._over_limit_mib = peak_mib
        logs.catch_up()
        cold, self._invoked = not self._invoked, True
        return Invocation(
            request_id=request_id,
            outcome=outcome,
            payload=payload,
            error_type=error_type,
            error_message=message,
            duration_ms=duration_ms,
            peak_mib=peak_mib,
            cold=cold,
            init_ms=self._init_ms if cold else 0.0,
        )

    def kill(self) -> None:
        """Kills the process and its children. From any thread, at any time."""
        self._killed = True
        self._kill_process()

    def close(self) -> None:
        """Ends the process, by SIGTERM and then SIGKILL, and frees all resources."""
        process = self._process
        if process is not None:
            if not self._killed:
                process.signal(signal.SIGTERM)
                process.wait(END_SECONDS)
            process.signal(signal.SIGKILL)
            while process.wait(END_SECONDS) is None:
                continue
        self._next = None
        if self._logs is not None:
            self._logs.join()
        self._api.close()
        if self._memory is not None:
            self._memory.close()
        if process is not None:
            process.close()
        for fd in (self._lifeline, self._deadline_fd):
            if fd is not None:
                os.close(fd)
        self._lifeline = self._deadline_fd = None

    def _spawn(self) -> None:
        lifeline_read, self._lifeline = os.pipe()
        output_read, output_write = os.pipe()
        inherited = (lifeline_read, self._write_deadline(0.0), output_read)
        variables = environment_variables(self._function, self._api.address)
        folder = self._function.folder
        try:
            if self._template is not None:
                self._process = self._template.fork(
                    folder=folder, variables=variables, output=output_write, inherited=inherited
                )
            if self._process is None:
                self._process = ChildProcess(
                    [sys.executable, "-m", bootstrap.__name__, HANDLER],
                    folder=folder,
                    variables={
                        **variables,
                        bootstrap.FDS_VARIABLE: ",".join(map(str, inherited)),
                    },
                    output=output_write,
                    inherited=inherited,
                )
        except OSError as error:
            os.close(output_read)
            self.close()
            raise InitError("Runtime.InvalidEntrypoint", str(error)) from error
        finally:
            os.close(lifeline_read)
            os.close(output_write)
        if self._process.fd is not None:
            self._api.watch(self._process.fd)
        self._memory = MemoryProbe(self._process.pid)
        self._logs = LogPump(output_read, self._function.name)
        self._logs.start()

    def _write_deadline(self, deadline: float) -> int:
        """Writes the deadline to the file that an orphan reads; returns the file descriptor."""
        if self._deadline_fd is None:
            raise RuntimeError("the environment is closed")
        os.pwrite(self._deadline_fd, bootstrap.DEADLINE.pack(deadline), 0)
        return self._deadline_fd

    def _await_init(self, until: float) -> None:
        while True:
            got = self._api.wait(until, TICK_SECONDS, self._may_start)
            if got is Event.TIMED_OUT:
                raise InitTimeoutError(self._function.init_seconds)
            if isinstance(got, Event):
                if self._stopping() or self._killed:
                    raise Stopping
                raise InitError("Runtime.ExitError", self._exit_message())
            if self._is_next(got):
                self._next = got
                return
            if got.path == f"{BASE}/init/error":
                self._api.reply(got, HTTPStatus.ACCEPTED, {}, b"", NEXT_SECONDS)
                error_type, message = _error(got)
                raise InitError(error_type, message)
            self._refuse(got)

    def _may_start(self) -> bool:
        if self._resident_over_limit():
            return False
        return self._alive() and not self._stopping() and not self._killed

    def _await_response(self, request_id: str, deadline: float) -> Request | Event:
        response = f"{BASE}/invocation/{request_id}/response"
        error = f"{BASE}/invocation/{request_id}/error"
        while True:
            got = self._api.wait(deadline, TICK_SECONDS, self._may_run)
            if isinstance(got, Event):
                return got
            if got.method == "POST" and got.path in (response, error):
                status = (
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE if got.too_large else HTTPStatus.ACCEPTED
                )
                self._api.reply(got, status, {}, b"", NEXT_SECONDS)
                return got
            self._refuse(got)

    def _may_run(self) -> bool:
        return not self._resident_over_limit() and self._alive()

    def _read_response(self, answer: Request) -> tuple[Outcome, bytes, str, str]:
        if answer.too_large:
            self.kill()
            return (
                Outcome.ERROR,
                b"",
                "Function.ResponseSizeTooLarge",
                f"the response exceeds {MAX_PAYLOAD_BYTES} bytes",
            )
        if answer.path.endswith("/response"):
            return Outcome.SUCCESS, answer.body, "", ""
        return Outcome.ERROR, b"", *_error(answer)

    def _end_unanswered(self, event: Event, request_id: str) -> tuple[Outcome, str, str]:
        """Ends a process that did not respond. Alarms match the texts, which are Lambda's."""
        if event is Event.TIMED_OUT:
            self._kill_process()
            seconds = f"{self._function.timeout_seconds:.2f}"
            message = f"{request_id} Task timed out after {seconds} seconds"
            return Outcome.TIMEOUT, "Sandbox.Timedout", message
        if self._killed:
            return Outcome.STOPPED, "", "the worker stopped"
        if self._over_limit_mib:
            self._kill_process()
            limit = self._function.memory_mib
            message = (
                f"RequestId: {request_id} Error: Runtime exited with error: signal: killed "
                f"(memory limit of {limit} MiB, {math.ceil(self._over_limit_mib)} MiB were used)"
            )
            return Outcome.MEMORY, "Runtime.ExitError", message
        return Outcome.EXIT, "Runtime.ExitError", f"RequestId: {request_id} {self._exit_message()}"

    def _exit_message(self) -> str:
        if self._over_limit_mib:
            return (
                f"Error: Runtime exited with error: memory limit of {self._function.memory_mib} MiB"
            )
        return exit_message(self._process.wait(END_SECONDS) if self._process else None)

    def _resident_over_limit(self) -> bool:
        resident = self._memory.resident_mib() if self._memory is not None else 0.0
        if resident > self._function.memory_mib:
            self._over_limit_mib = resident
            return True
        return False

    def _alive(self) -> bool:
        return self._process is not None and not self._process.ended()

    def _kill_process(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    def _is_next(self, request: Request) -> bool:
        return request.method == "GET" and request.path == f"{BASE}/invocation/next"

    def _refuse(self, request: Request) -> None:
        body = json.dumps({"errorType": "InvalidRequest", "errorMessage": request.path}).encode()
        self._api.reply(request, HTTPStatus.BAD_REQUEST, {}, body, NEXT_SECONDS)


def _shared_memory() -> int:
    """An unnamed file; on Linux in memory, so that no writable folder is needed."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("deadline")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def new_trace_id() -> str:
    """An X-Ray trace header that requests sampling.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    identifier = uuid.uuid4().hex
    return f"Root=1-{int(time.time()):08x}-{identifier[:24]};Parent={identifier[16:]};Sampled=1"


def _error(request: Request) -> tuple[str, str]:
    """Type and message of the runtime's error document."""
    header = request.headers.get("lambda-runtime-function-error-type", "")
    try:
        document: Any = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        document = {}
    if not isinstance(document, dict):
        document = {}
    error_type = str(document.get("errorType") or header or "Runtime.Unknown")
    return error_type, str(document.get("errorMessage") or "")
