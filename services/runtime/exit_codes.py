"""What the worker's exit status means to whoever supervises it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """0 and 3 are asked for; the others are worth a look."""

    DRAINED = 0
    """Stopped on request, and all that was received is settled."""
    FAILED = 1
    """A defect of the worker itself ended it (or, for `health`: not healthy)."""
    CONFIGURATION = 2
    """The environment, the command line or the manifest is wrong; nothing was received."""
    UNFINISHED = 3
    """Stopped by force or by the drain timeout; what was unfinished is back in the queue."""
