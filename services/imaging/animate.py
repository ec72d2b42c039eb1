"""Writes animated WebP renditions, one frame in hand at a time."""

from __future__ import annotations

from PIL import Image, _webp

from services.imaging.model import Recipe

# A frame that asks for less is shown for this long by every browser (10 ms and below count as 100).
_MILLISECONDS_SHORT, _MILLISECONDS_SHORT_SHOWN = 10, 100
_KEYFRAME_MIN, _KEYFRAME_MAX = 3, 5


class AnimationWriter:
    """One animated WebP. Pillow's own `save_all` would go through all frames once for each size,
    this one lets every size have the frame while it is decoded."""

    def __init__(self, size: tuple[int, int], loops: int, recipe: Recipe) -> None:
        self.size = size
        self._recipe = recipe
        self._milliseconds = 0
        self._encoder = _webp.WebPAnimEncoder(
            size, 0, loops, False, _KEYFRAME_MIN, _KEYFRAME_MAX, False, False
        )

    def add(self, frame: Image.Image, milliseconds: int) -> None:
        """Adds `frame`, which must have this animation's size, shown for so many milliseconds."""
        if frame.mode not in ("RGB", "RGBA"):
            frame = frame.convert("RGB")
        self._encoder.add(frame.getim(), self._milliseconds, *self._options())
        if milliseconds <= _MILLISECONDS_SHORT:
            milliseconds = _MILLISECONDS_SHORT_SHOWN
        self._milliseconds += milliseconds

    def finish(self) -> bytes:
        """The file."""
        self._encoder.add(None, self._milliseconds, *self._options())
        data: bytes | None = self._encoder.assemble("", "", "")
        if data is None:
            raise RuntimeError("libwebp could not assemble the animation")
        return data

    def _options(self) -> tuple[bool, float, float, int]:
        return False, float(self._recipe.webp_quality), 100.0, self._recipe.webp_method
