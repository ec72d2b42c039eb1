"""An audit trail of what operators do: one JSON object a line, appended to a file."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.platform import timestamps


def default_audit_log() -> Path:
    """The audit trail of this user."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "darkroom" / "audit.jsonl"


@dataclass(frozen=True)
class AuditTrail:
    """Appends entries to the file at `path`, which only its owner may read."""

    path: Path

    def record(self, action: str, **facts: Any) -> None:
        """Appends one entry: time (UTC), user and host, `action` and its facts (JSON values)."""
        entry = {
            "at": timestamps.now(),
            "user": _user(),
            "host": socket.gethostname(),
            "action": action,
            **facts,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write: entries of concurrent commands do not mix.
            os.write(file, (json.dumps(entry) + "\n").encode())
        finally:
            os.close(file)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
