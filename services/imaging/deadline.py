"""The wall-time limit of one photo."""

from __future__ import annotations

import time

from services.imaging.model import PhotoRejected, RejectionReason


class Deadline:
    """Counts from its making. `check` is called between steps and between frames."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """Raises PhotoRejected (timed-out) once the time is used up."""
        if time.monotonic() > self._ends:
            raise PhotoRejected(
                RejectionReason.TIMED_OUT,
                f"Developing this photo took longer than the {self._seconds:g} seconds a photo may "
                "take. Please upload it smaller, or with fewer frames.",
            )
