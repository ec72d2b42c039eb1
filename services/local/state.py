"""A lab's files, and the state that its supervisor writes for other processes."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.local.aws_session import LocalSession
from services.local.emulator import DEFAULT_CREDENTIALS, Credentials
from services.local.provision import FunctionQueue
from services.platform.checkout import PROJECT as PROJECT
from services.platform.checkout import state_folder
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.errors import PermanentError

DEFAULT_ROOT = state_folder() / "lab"


class LabStatus(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class ChildState:
    """One supervised process: its id, its restarts, its log file, and why it last ended."""

    name: str
    pid: int
    restarts: int
    log: str
    last_error: str = ""


@dataclass(frozen=True)
class LabState:
    """The lab's addresses, resources and processes, as its supervisor wrote them last."""

    status: LabStatus
    pid: int
    message: str = ""
    endpoint: str = ""
    credentials: Credentials = DEFAULT_CREDENTIALS
    mail_folder: str = ""
    api: str = ""
    """The HTTP API's base URL; empty in a lab without customers."""
    features: tuple[str, ...] = ()
    kept: bool = False
    """Whether the lab's data survive its end."""
    database_url: str = ""
    """Empty in a lab without a database."""
    database_programs: str = ""
    """The folder that Postgres runs from; a copy if its user cannot reach the installed one."""
    database_folder: str = ""
    """The folder of Postgres's data."""
    database_secret_arn: str = ""
    started_at: str = ""
    buckets: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    topics: dict[str, str] = field(default_factory=dict)
    """Topics' ARNs."""
    queues: dict[str, FunctionQueue] = field(default_factory=dict)
    workflows: dict[str, str] = field(default_factory=dict)
    """State machines' ARNs."""
    recipes: dict[str, str] = field(default_factory=dict)
    """The recipes that the functions have: `definitions` as JSON, `names` and the `default` one."""
    children: tuple[ChildState, ...] = ()
    metrics: dict[str, str] = field(default_factory=dict)
    """Addresses of the hosts' metrics in Prometheus' text format, by process."""

    @property
    def session(self) -> LocalSession:
        return LocalSession(self.endpoint, credentials=self.credentials)

    def database(self) -> Database:
        """A connection of this process to the lab's Postgres.

        Raises PermanentError in a lab without one.
        """
        if not self.database_url:
            raise PermanentError(
                "this lab runs without a database; start one with `darkroom up` and all features"
            )
        return Database(
            read(
                DatabaseConfiguration,
                {
                    "DATABASE_URL": self.database_url,
                    "DATABASE_SECRET_ARN": self.database_secret_arn,
                },
            ),
            self.session.client("secretsmanager"),
        )


@dataclass(frozen=True)
class LabFiles:
    """The files of one lab, all under `root`, which nothing else uses."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def cloud(self) -> Path:
        """The emulator's data, in a lab whose data are kept."""
        return self.root / "cloud"

    @property
    def payments(self) -> Path:
        """The payment sandbox's ledger."""
        return self.root / "payments.sqlite"

    @property
    def credentials(self) -> Path:
        """Secrets of a lab whose data are kept; mode 0600."""
        return self.root / "secrets.json"

    def plan(self, name: str) -> Path:
        """The plan of a worker host or the gateway."""
        return self.root / f"{name}.json"

    def host_status(self, name: str) -> Path:
        """What a worker host or the gateway reports of its functions."""
        return self.root / f"{name}-status.json"

    @property
    def traces(self) -> Path:
        """Exports of the functions' spans, in a lab that keeps traces."""
        return self.root / "traces.jsonl"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def write(self, state: LabState) -> None:
        """Replaces the state atomically."""
        draft = self.state.with_suffix(".draft")
        draft.write_text(json.dumps(dataclasses.asdict(state), indent=2) + "\n", encoding="utf-8")
        draft.replace(self.state)

    def read(self) -> LabState | None:
        """The state as last written; None if there was no lab, or one of another version."""
        try:
            document: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
            return LabState(
                **document
                | {
                    "status": LabStatus(document["status"]),
                    "queues": {n: FunctionQueue(**q) for n, q in document["queues"].items()},
                    "children": tuple(ChildState(**child) for child in document["children"]),
                    "credentials": Credentials(**document["credentials"]),
                    "features": tuple(document["features"]),
                }
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def alive(pid: int) -> bool:
    """Whether a process with this id runs. A zombie does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, IndexError):
        return True  # no /proc here
