"""One execution environment: a process that runs the handler, and its life.

Start (bounded), invoke one event at a time (bounded by the deadline and by memory), end. Whatever
goes wrong costs one invocation and this process, never the worker.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

from services.runtime import environment as bootstrap
from services.runtime.logs import LogPump
from services.runtime.memory import MemoryProbe
from services.runtime.runtime_api import BASE, MAX_PAYLOAD_BYTES, Event, Request, RuntimeApi

HANDLER = "handler.handler"
# How often memory is looked at. A short spike between two looks is seen in the peak afterwards.
TICK_SECONDS = 0.05
# After an answer the runtime asks for the next event at once; one that does not is stuck.
NEXT_SECONDS = 5.0
# An idle environment gets this long to go on SIGTERM before SIGKILL.
END_SECONDS = 1.0
ROOT = Path(__file__).resolve().parents[2]


class Outcome(StrEnum):
    """How an invocation ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    EXIT = "exit"
    MEMORY = "memory"
    STOPPED = "stopped"
    """The worker ended it, to stop: no fault of the function."""


@dataclass(frozen=True)
class Function:
    """What to run: the handler's folder and its limits, as the manifest declares them."""

    name: str
    folder: Path
    memory_mib: int
    timeout_seconds: int
    arn: str
    init_seconds: int
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Invocation:
    """What came of one event. Durations in milliseconds, memory in MiB. `payload` is the
    handler's answer as JSON when the outcome is SUCCESS, else empty."""

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


class Stopping(Exception):  # noqa: N818  no error: the worker stops while an environment starts
    """Raised by `Environment.start` when the worker stops meanwhile."""


class Environment:
    """A live process. One thread at a time calls it; `kill` may come from any thread.

    Raises InitError (or Stopping) from `start`.
    """

    def __init__(self, function: Function, stopping: Callable[[], bool] = lambda: False) -> None:
        self._function = function
        self._stopping = stopping
        self._api = RuntimeApi()
        self._process: subprocess.Popen[bytes] | None = None
        self._process_lock = threading.Lock()
        self._pid_fd: int | None = None
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
        """The process's number; 0 before it starts."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Starts the process and waits until it asks for its first event."""
        started = time.monotonic()
        self._spawn()
        try:
            self._await_init(started + self._function.init_seconds)
        except BaseException:
            self.close()
            raise
        self._init_ms = (time.monotonic() - started) * 1000

    def ready(self) -> bool:
        """Whether it can take an event now. Waits briefly for the runtime to come back for more
        after an answer."""
        if self._over_limit_mib:
            return False
        if self._next is not None:
            # It waits for us, so nothing else is to be expected from it but its end.
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
        """Gives `event`, JSON, to the handler; returns when it answers, ends, or must be ended.

        Call only after `ready`. Afterwards the environment may be gone: ask `ready`.
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
        self._tell_deadline(deadline)
        self._api.reply(
            waiting,
            HTTPStatus.OK,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self._function.arn,
                "Lambda-Runtime-Trace-Id": trace_id or new_trace_id(),
            },
            event,
            timeout,
        )
        answer = self._await_answer(request_id, deadline)
        duration_ms = (time.monotonic() - started) * 1000
        peak_mib = memory.peak_mib()
        if isinstance(answer, Event):
            peak_mib = max(peak_mib, self._over_limit_mib)
            outcome, error_type, message = self._cut_short(answer, request_id)
            payload = b""
        else:
            outcome, payload, error_type, message = self._answered(answer)
            if memory.resident_mib() > self._function.memory_mib:
                # The work is done and stands; the environment does not go on beyond its limit.
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
        """Ends the process and all that it started, now. From any thread; safe at any time."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Ends the process: politely, then by force. Frees everything."""
        process = self._process
        if process is not None:
            if not self._killed:
                self._signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS)
            self._signal(signal.SIGKILL)
            process.wait()
        self._next = None
        if self._logs is not None:
            self._logs.join()
        self._api.close()
        if self._memory is not None:
            self._memory.close()
        for fd in (self._lifeline, self._pid_fd, self._deadline_fd):
            if fd is not None:
                os.close(fd)
        self._lifeline = self._pid_fd = self._deadline_fd = None

    def _spawn(self) -> None:
        lifeline_read, self._lifeline = os.pipe()
        output_read, output_write = os.pipe()
        inherited = (lifeline_read, self._tell_deadline(0.0), output_read)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", bootstrap.__name__, HANDLER],
                cwd=self._function.folder,
                env={
                    **environment_variables(self._function, self._api.address),
                    bootstrap.FDS_VARIABLE: ",".join(map(str, inherited)),
                },
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=inherited,
                # A group of its own: Ctrl-C at the terminal is the worker's affair, and what the
                # handler starts can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            os.close(output_read)
            self.close()
            raise InitError("Runtime.InvalidEntrypoint", str(error)) from error
        finally:
            os.close(lifeline_read)
            os.close(output_write)
        # Without pidfds (macOS, old kernels) the tick sees the process's end, a little later.
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._pid_fd = os.pidfd_open(self._process.pid)
                self._api.watch(self._pid_fd)
        self._memory = MemoryProbe(self._process.pid)
        self._logs = LogPump(output_read, self._function.name)
        self._logs.start()

    def _tell_deadline(self, deadline: float) -> int:
        """Writes the deadline where an orphan would look for it; the file's descriptor."""
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

    def _await_answer(self, request_id: str, deadline: float) -> Request | Event:
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

    def _answered(self, answer: Request) -> tuple[Outcome, bytes, str, str]:
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

    def _cut_short(self, event: Event, request_id: str) -> tuple[Outcome, str, str]:
        """Ends what did not answer. The texts are Lambda's, so that alarms on them work alike."""
        if event is Event.TIMED_OUT:
            self._signal(signal.SIGKILL)
            seconds = f"{self._function.timeout_seconds:.2f}"
            message = f"{request_id} Task timed out after {seconds} seconds"
            return Outcome.TIMEOUT, "Sandbox.Timedout", message
        if self._killed:
            return Outcome.STOPPED, "", "the worker was told to stop"
        if self._over_limit_mib:
            self._signal(signal.SIGKILL)
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
        status = None
        if self._process is not None:
            with self._process_lock, contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(END_SECONDS)
        if status is None or status == 0:
            return "Error: Runtime exited without providing a reason"
        if status < 0:
            return f"Error: Runtime exited with error: signal: {signal.Signals(-status).name}"
        return f"Error: Runtime exited with error: exit status {status}"

    def _resident_over_limit(self) -> bool:
        resident = self._memory.resident_mib() if self._memory is not None else 0.0
        if resident > self._function.memory_mib:
            self._over_limit_mib = resident
            return True
        return False

    def _alive(self) -> bool:
        if self._process is None:
            return False
        with self._process_lock:
            return self._process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        with self._process_lock:
            # Not reaped means that the number is still this process's.
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)

    def _is_next(self, request: Request) -> bool:
        return request.method == "GET" and request.path == f"{BASE}/invocation/next"

    def _refuse(self, request: Request) -> None:
        body = json.dumps({"errorType": "InvalidRequest", "errorMessage": request.path}).encode()
        self._api.reply(request, HTTPStatus.BAD_REQUEST, {}, body, NEXT_SECONDS)


def environment_variables(function: Function, runtime_api: str) -> dict[str, str]:
    """The process's environment: the worker's own, and what Lambda sets.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WORKER_")}
    python_path = [str(function.folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        # JSON lines for what awslambdaric and the root logger print, as Terraform sets on Lambda.
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        **inherited,
        **function.variables,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        # awslambdaric handles SIGTERM while it waits for work only for 3.12 and later.
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{max(sys.version_info.minor, 12)}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"worker/{os.getpid()}",
        "_HANDLER": HANDLER,
        "LAMBDA_TASK_ROOT": str(function.folder),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(python_path)),
        "PYTHONUNBUFFERED": "1",
    }


def _shared_memory() -> int:
    """A nameless file; on Linux in memory, so that a read-only root needs no writable folder."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("deadline")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def new_trace_id() -> str:
    """An X-Ray trace header that is not sampled.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    identifier = uuid.uuid4().hex
    return f"Root=1-{int(time.time()):08x}-{identifier[:24]};Parent={identifier[16:]};Sampled=0"


def _error(request: Request) -> tuple[str, str]:
    """Type and message out of the runtime's error document."""
    header = request.headers.get("lambda-runtime-function-error-type", "")
    try:
        document: Any = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        document = {}
    if not isinstance(document, dict):
        document = {}
    error_type = str(document.get("errorType") or header or "Runtime.Unknown")
    return error_type, str(document.get("errorMessage") or "")
