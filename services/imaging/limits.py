"""Checks a photo against its limits: bytes, pixels, frames, memory, work and time."""

from __future__ import annotations

import time

from services.imaging.model import Limits, PhotoRejected, RejectionReason

# A structure reader may take this many steps at once, and one more for each so many bytes of file:
# GIF, whose blocks have 255 bytes at most, needs one for each 255. A step costs 1 to 3 µs.
_STEPS_ALWAYS, _BYTES_PER_STEP = 20_000, 128
MIB = 1024 * 1024


class Deadline:
    """The wall-time limit of one photo. Starts when it is created."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """Raises PhotoRejected (timed-out) after the limit has passed."""
        if time.monotonic() > self._ends:
            raise PhotoRejected(
                RejectionReason.TIMED_OUT,
                f"Developing this photo took longer than the {self._seconds:g} seconds a photo may "
                "take. Please upload it smaller, or with fewer frames.",
            )


class WorkBudget:
    """Limits the steps of a structure reader, in proportion to the file's bytes.

    A step is whatever a reader repeats: a segment, chunk, box, block, extent or directory entry.
    """

    def __init__(self, source_bytes: int) -> None:
        self._left = _STEPS_ALWAYS + source_bytes // _BYTES_PER_STEP

    def spend(self, steps: int = 1) -> None:
        """Takes `steps` off the budget. Raises PhotoRejected (too-expensive) if none is left."""
        self._left -= steps
        if self._left < 0:
            too_expensive("it has far more parts than a photo of its size needs")


def too_expensive(what: str) -> None:
    """Raises PhotoRejected (too-expensive)."""
    raise PhotoRejected(
        RejectionReason.TOO_EXPENSIVE,
        f"The file takes too much work to read: {what}. "
        "Please export the photo again from a photo program, and upload that.",
    )


def check_bytes(count: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-bytes)."""
    if count > limits.bytes_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_BYTES,
            f"The file has {count:,} bytes; the limit is {limits.bytes_max:,}. "
            "Please upload it smaller or compressed more.",
        )


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-pixels)."""
    if width * height > limits.pixels_per_frame_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_PIXELS,
            f"The picture has {width:,} x {height:,} pixels; the limit is "
            f"{limits.pixels_per_frame_max:,} pixels. Please upload it smaller.",
        )


def check_frames(width: int, height: int, frames: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-frames, too-many-pixels-in-all)."""
    if frames > limits.frames_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_FRAMES,
            f"The animation has {frames:,} frames; the limit is {limits.frames_max:,}. "
            "Please upload it shorter.",
        )
    if width * height * frames > limits.pixels_in_all_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_PIXELS_IN_ALL,
            f"The animation has {frames:,} frames of {width:,} x {height:,} pixels; the limit is "
            f"{limits.pixels_in_all_max:,} pixels over all frames. "
            "Please upload it smaller or shorter.",
        )


def check_decoded_pixels(count: int, limits: Limits) -> None:
    """Checks the pixels that a decoder produces on its way to the picture, such as tiles that
    are used several times. Raises PhotoRejected (too-many-pixels-in-all)."""
    if count > limits.pixels_in_all_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_PIXELS_IN_ALL,
            f"The picture is put together from parts with {count:,} pixels; the limit is "
            f"{limits.pixels_in_all_max:,} pixels. Please export it as JPEG and upload that.",
        )


def check_memory(needed_bytes: int, width: int, height: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-much-memory)."""
    if needed_bytes > limits.memory_bytes_max:
        raise PhotoRejected(
            RejectionReason.TOO_MUCH_MEMORY,
            f"Decoding {width:,} x {height:,} pixels in this format takes about "
            f"{needed_bytes // MIB:,} MiB of memory; the limit is "
            f"{limits.memory_bytes_max // MIB:,} MiB. Please upload it smaller, or as JPEG.",
        )
