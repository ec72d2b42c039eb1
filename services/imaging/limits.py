"""Holds a photo against its limits, before any pixel is decoded."""

from __future__ import annotations

from services.imaging.model import Limits, PhotoRejected, RejectionReason


def check_bytes(count: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-bytes)."""
    if count > limits.bytes_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_BYTES,
            f"The file has {count:,} bytes; at most {limits.bytes_max:,} are taken. "
            "Please upload it smaller or compressed more.",
        )


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-pixels)."""
    if width * height > limits.pixels_per_frame_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_PIXELS,
            f"The picture has {width:,} x {height:,} pixels; at most "
            f"{limits.pixels_per_frame_max:,} pixels are taken. Please upload it smaller.",
        )


def check_frames(width: int, height: int, frames: int, limits: Limits) -> None:
    """Raises PhotoRejected (too-many-frames, too-many-pixels-in-all)."""
    if frames > limits.frames_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_FRAMES,
            f"The animation has {frames:,} frames; at most {limits.frames_max:,} are taken. "
            "Please upload it shorter.",
        )
    if width * height * frames > limits.pixels_in_all_max:
        raise PhotoRejected(
            RejectionReason.TOO_MANY_PIXELS_IN_ALL,
            f"The animation has {frames:,} frames of {width:,} x {height:,} pixels; at most "
            f"{limits.pixels_in_all_max:,} pixels over all frames are taken. "
            "Please upload it smaller or shorter.",
        )
