"""Where a lab keeps its files, and what it tells about itself."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.local.aws_session import LocalSession
from services.local.provision import FunctionQueue
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_ROOT = PROJECT / ".darkroom" / "lab"


class LabStatus(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class ChildState:
    """One supervised process: its id, how often it was restarted, where it logs."""

    name: str
    pid: int
    restarts: int
    log: str


@dataclass(frozen=True)
class LabState:
    """What the supervisor writes down: the lab's address, resources and processes."""

    status: LabStatus
    pid: int
    message: str = ""
    endpoint: str = ""
    mail_folder: str = ""
    api: str = ""
    """Where the API answers."""
    database_url: str = ""
    database_secret_arn: str = ""
    started_at: str = ""
    buckets: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    queues: dict[str, FunctionQueue] = field(default_factory=dict)
    workflows: dict[str, str] = field(default_factory=dict)
    """State machines' ARNs."""
    children: tuple[ChildState, ...] = ()

    @property
    def session(self) -> LocalSession:
        return LocalSession(self.endpoint)

    def database(self) -> Database:
        """The lab's Postgres, for this process."""
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
    def payments(self) -> Path:
        """The payment provider's book."""
        return self.root / "payments.sqlite"

    @property
    def gateway(self) -> Path:
        """The gateway's configuration."""
        return self.root / "gateway.json"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def write(self, state: LabState) -> None:
        """Replaces the state in one step, so that a reader never sees half of it."""
        draft = self.state.with_suffix(".draft")
        draft.write_text(json.dumps(dataclasses.asdict(state), indent=2) + "\n", encoding="utf-8")
        draft.replace(self.state)

    def read(self) -> LabState | None:
        """The state as it was last written; None where no lab was, or one of another version."""
        try:
            document: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
            return LabState(
                **document
                | {
                    "status": LabStatus(document["status"]),
                    "queues": {n: FunctionQueue(**q) for n, q in document["queues"].items()},
                    "children": tuple(ChildState(**child) for child in document["children"]),
                }
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def alive(pid: int) -> bool:
    """Whether a process with this id runs (a zombie does not)."""
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
