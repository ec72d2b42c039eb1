"""Lanczos over three lobes in double precision: the reference for resized pictures."""

from __future__ import annotations

import numpy as np

LOBES = 3
Pixels = np.ndarray


def lanczos(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """`pixels` (height, width, channels; any range) at `size` (width, height), not clipped."""
    down, across = _weights(pixels.shape[0], size[1]), _weights(pixels.shape[1], size[0])
    resized: Pixels = np.einsum("yh,hwc,xw->yxc", down, pixels, across, optimize=True)
    return resized


def _weights(length: int, shorter: int) -> Pixels:
    """The weight of every source pixel for every target pixel of one line."""
    scale = length / shorter
    centres = (np.arange(shorter) + 0.5) * scale
    distance = (np.arange(length)[None] + 0.5 - centres[:, None]) / scale
    weights = np.sinc(distance) * np.sinc(distance / LOBES) * (np.abs(distance) < LOBES)
    normalised: Pixels = weights / weights.sum(axis=1, keepdims=True)
    return normalised
