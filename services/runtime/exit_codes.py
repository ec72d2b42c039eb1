"""Exit statuses of workers and of the gateway."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """0 and 3 follow a signal; the others need attention."""

    DRAINED = 0
    """Stopped on request, and all received messages are acknowledged."""
    FAILED = 1
    """A defect of the worker itself ended it (for `health`: it is not healthy)."""
    CONFIGURATION = 2
    """The environment, the command line or the manifest is wrong; nothing was received."""
    UNFINISHED = 3
    """Stopped by force or by the drain timeout; unprocessed messages are back in the queue."""
