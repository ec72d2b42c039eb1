"""What a running lab reports: addresses, processes, functions, queues, and what is wrong.

Every answer comes within ANSWER_SECONDS. The process table and the functions' own reports are local
files, so they are there even if the emulator does not answer.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from services.local.emulator import REGION
from services.local.provision import FunctionQueue
from services.local.state import LabFiles, LabState, alive
from services.monitoring.lab_files import oldest_seconds

ANSWER_SECONDS = 1.5
_CALL_SECONDS = 1.0
_CALLS_AT_ONCE = 8
# With less free space than this the lab cannot write its state.
FREE_BYTES_MIN = 1024 * 1024


@dataclass(frozen=True)
class QueueDepth:
    """A function's messages. `oldest_seconds` is the age of the oldest one that waits."""

    waiting: int
    in_flight: int
    dead_letters: int
    oldest_seconds: float | None = None


@dataclass(frozen=True)
class FunctionReport:
    """What a worker or the gateway reports of one function. `init_failures` counts failed starts
    of execution environments in a row; times are in UTC."""

    environments: int = 0
    busy: int = 0
    invocations: int = 0
    failures: int = 0
    init_failures: int = 0
    last_error: str = ""
    last_error_at: str = ""
    queue_error: str = ""


@dataclass(frozen=True)
class ProcessReport:
    """A process of the lab. `running` is false while it waits for its restart."""

    name: str
    pid: int
    running: bool
    restarts: int
    log: str
    last_error: str


@dataclass(frozen=True)
class LabReport:
    """Everything that `darkroom status` shows. `problems` are sentences; none means healthy."""

    status: str
    endpoint: str
    api: str
    mail_folder: str
    database: str
    database_folder: str
    database_programs: str
    data: str
    features: tuple[str, ...]
    started_at: str
    metrics: Mapping[str, str]
    processes: tuple[ProcessReport, ...]
    functions: Mapping[str, FunctionReport]
    queues: Mapping[str, QueueDepth] | None
    problems: tuple[str, ...] = field(default=())

    def with_failed_starts(self, reasons: Mapping[str, str]) -> LabReport:
        """With a problem for each function that a check could not start, unless it has one."""
        problems = tuple(
            f"{name} cannot start: {reason}"
            for name, reason in reasons.items()
            if not any(problem.startswith(f"{name} cannot start") for problem in self.problems)
        )
        return dataclasses.replace(self, problems=(*self.problems, *problems))

    def document(self) -> dict[str, Any]:
        """The object that `darkroom status --json` prints."""
        document = dataclasses.asdict(self)
        folders = document.pop("database_folder"), document.pop("database_programs")
        document["database"] = (
            {"url": self.database, "data": folders[0], "programs": folders[1]}
            if self.database
            else None
        )
        return document


def report(state: LabState, files: LabFiles) -> LabReport:
    """The report of the lab that `state` describes."""
    processes = tuple(
        ProcessReport(c.name, c.pid, alive(c.pid), c.restarts, c.log, c.last_error)
        for c in state.children
    )
    functions = _functions(files)
    queues = _queues(state)
    return LabReport(
        status=state.status.value,
        endpoint=state.endpoint,
        api=state.api,
        mail_folder=state.mail_folder,
        database=state.database_url,
        database_folder=state.database_folder,
        database_programs=state.database_programs,
        data=_data(state, files),
        features=state.features,
        started_at=state.started_at,
        metrics=state.metrics,
        processes=processes,
        functions=functions,
        queues=queues,
        problems=tuple(_problems(state, files, processes, functions, queues)),
    )


def _data(state: LabState, files: LabFiles) -> str:
    if not state.kept:
        return "in memory; lost when the lab ends"
    saved = [path.stat().st_mtime for path in (files.cloud / "state").glob("*.json")]
    if not saved:
        return f"kept in {files.root}; not saved yet"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(saved)))
    return f"kept in {files.root}; saved at {when}"


def _functions(files: LabFiles) -> dict[str, FunctionReport]:
    """The functions of all status files. Functions that several workers serve are added up."""
    found: dict[str, FunctionReport] = {}
    for path in sorted(files.root.glob("*-status.json")):
        try:
            functions = json.loads(path.read_text(encoding="utf-8"))["functions"]
        except (OSError, ValueError, KeyError):
            continue  # replaced or being written; the next status has it
        for name, item in functions.items():
            known = {k: v for k, v in item.items() if k in _REPORT_FIELDS}
            found[name] = _sum(found.get(name), FunctionReport(**known))
    return found


_REPORT_FIELDS = frozenset(f.name for f in dataclasses.fields(FunctionReport))


def _sum(one: FunctionReport | None, other: FunctionReport) -> FunctionReport:
    if one is None:
        return other
    latest = max(one, other, key=lambda item: item.last_error_at)
    return FunctionReport(
        environments=one.environments + other.environments,
        busy=one.busy + other.busy,
        invocations=one.invocations + other.invocations,
        failures=one.failures + other.failures,
        init_failures=max(one.init_failures, other.init_failures),
        last_error=latest.last_error,
        last_error_at=latest.last_error_at,
        queue_error=one.queue_error or other.queue_error,
    )


def _queues(state: LabState) -> dict[str, QueueDepth] | None:
    """The depth of every queue; None if the emulator does not answer in time."""
    if not state.queues:
        return {}
    sqs = boto3.session.Session(
        aws_access_key_id=state.credentials.access_key_id,
        aws_secret_access_key=state.credentials.secret_access_key,
        region_name=REGION,
    ).client(
        "sqs",
        endpoint_url=state.endpoint,
        config=Config(
            connect_timeout=_CALL_SECONDS,
            read_timeout=_CALL_SECONDS,
            retries={"total_max_attempts": 1},
            max_pool_connections=_CALLS_AT_ONCE,
        ),
    )
    pool = ThreadPoolExecutor(_CALLS_AT_ONCE)
    try:
        calls = {n: pool.submit(_depth, sqs, state, q) for n, q in state.queues.items()}
        done, late = wait(calls.values(), ANSWER_SECONDS)
        if late or any(isinstance(call.exception(), Exception) for call in done):
            return None
        return {name: call.result() for name, call in calls.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _depth(sqs: Any, state: LabState, queue: FunctionQueue) -> QueueDepth:
    waiting, in_flight = _count(sqs, queue.url)
    oldest = oldest_seconds(state.endpoint, queue.url) if waiting else None
    return QueueDepth(waiting, in_flight, sum(_count(sqs, queue.dead_letter_url)), oldest)


def _count(sqs: Any, url: str) -> tuple[int, int]:
    """The messages that wait, also for a delay, and those in flight."""
    names = ["", "Delayed", "NotVisible"]
    got = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names]
    )["Attributes"]
    waiting, delayed, in_flight = (int(got[f"ApproximateNumberOfMessages{n}"]) for n in names)
    return waiting + delayed, in_flight


def _problems(
    state: LabState,
    files: LabFiles,
    processes: tuple[ProcessReport, ...],
    functions: Mapping[str, FunctionReport],
    queues: Mapping[str, QueueDepth] | None,
) -> list[str]:
    found = []
    free = shutil.disk_usage(files.root).free
    if free < FREE_BYTES_MIN:
        found.append(f"the disk of {files.root} is full ({free} bytes free)")
    if queues is None:
        found.append(f"the emulator at {state.endpoint} does not answer within {_CALL_SECONDS:g} s")
    for process in processes:
        if not process.running:
            reason = f": {process.last_error}" if process.last_error else ""
            found.append(f"{process.name} is being restarted{reason}; see {process.log}")
    for name, item in functions.items():
        if item.init_failures:
            found.append(
                f"{name} cannot start ({item.init_failures} failed starts): {item.last_error}"
            )
        if item.queue_error:
            found.append(f"{name} cannot use its queue: {item.queue_error}")
    return found
