"""The lab that a load test runs on: the interface that both kinds implement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from services.local.aws_session import LocalSession
from services.local.emulator import DEFAULT_CREDENTIALS, Credentials
from services.local.provision import FunctionQueue

CONNECTIONS = 40


class TargetKind(StrEnum):
    CONTAINERS = "containers"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Resources:
    """Names of the lab's resources: buckets, the catalogue's table, each function's queues."""

    originals: str
    renditions: str
    images: str
    queues: Mapping[str, FunctionQueue]


@dataclass(frozen=True)
class WorkerGroup:
    """A function's workers. `cpus` is each one's quota, None where there is none."""

    function: str
    count: int
    memory_mib: int
    cpus: float | None


class Target(Protocol):
    """A running lab. Methods raise TransientError when a part of it is unavailable."""

    @property
    def kind(self) -> TargetKind: ...

    @property
    def resources(self) -> Resources: ...

    @property
    def worker_groups(self) -> tuple[WorkerGroup, ...]: ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about this target."""
        ...

    def client(self, service: str) -> Any:
        """An AWS client that tries once. Safe to share between threads."""
        ...

    def mails(self) -> list[str]:
        """The event id of every e-mail that was sent."""
        ...

    def logs(self) -> Iterator[tuple[str, str]]:
        """Each worker's name and log; those that were killed and replaced share a name."""
        ...

    def memory_mib(self) -> Mapping[str, float]:
        """Resident memory of each worker now; empty where it cannot be told at once."""
        ...

    def kill(self, draw: float) -> str:
        """Kills one worker by SIGKILL and sees to a replacement; the worker's name. `draw`
        (0 <= draw < 1) chooses which."""
        ...

    def check(self) -> None:
        """Raises TransientError, with what to do, when the target has failed."""
        ...


def client(endpoint: str, service: str, credentials: Credentials = DEFAULT_CREDENTIALS) -> Any:
    """A client for the emulator at `endpoint` that tries once: a repeated upload would be another
    photo, and the run should see what is slow."""
    session = LocalSession(endpoint, attempts=1, connections=CONNECTIONS, credentials=credentials)
    return session.client(service)
