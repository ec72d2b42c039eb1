"""Health, as a file that is fresh while all is well: a container's healthcheck needs no port."""

from __future__ import annotations

import time
from pathlib import Path

# The worker touches the file every second. A busy machine may be late; a stuck worker stays late.
STALE_SECONDS = 15.0


def touch(file: Path) -> None:
    """Makes the file fresh."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def fresh(file: Path) -> bool:
    """Whether a worker was healthy within the last STALE_SECONDS."""
    try:
        return time.time() - file.stat().st_mtime <= STALE_SECONDS
    except OSError:
        return False
