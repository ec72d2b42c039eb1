"""Where a lab stands during a load test: what the test needs of it, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from services.local.aws_session import LocalSession
from services.local.emulator import DEFAULT_CREDENTIALS, Credentials
from services.local.provision import FunctionQueue

CONNECTIONS = 40


class StageKind(StrEnum):
    CONTAINERS = "containers"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Places:
    """Names of what the lab has: buckets, the catalogue's table, each function's queues."""

    originals: str
    renditions: str
    images: str
    queues: Mapping[str, FunctionQueue]


@dataclass(frozen=True)
class Crew:
    """A function's workers. `cpus` is each one's quota, None where there is none."""

    function: str
    count: int
    memory_mib: int
    cpus: float | None


class Stage(Protocol):
    """A running lab. Methods raise TransientError when a part of it is away."""

    @property
    def kind(self) -> StageKind: ...

    @property
    def places(self) -> Places: ...

    @property
    def crews(self) -> tuple[Crew, ...]: ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about this stage."""
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

    def kill(self, draw: float) -> str:
        """Kills one worker by SIGKILL and sees to a replacement; the worker's name. `draw`
        (0 <= draw < 1) chooses which."""
        ...

    def check(self) -> None:
        """Raises TransientError, with what to do, when the stage itself has broken down."""
        ...


def client(endpoint: str, service: str, credentials: Credentials = DEFAULT_CREDENTIALS) -> Any:
    """A client for the emulator at `endpoint` that tries once: a repeated upload would be another
    photo, and the run should see what is slow."""
    session = LocalSession(endpoint, attempts=1, connections=CONNECTIONS, credentials=credentials)
    return session.client(service)
