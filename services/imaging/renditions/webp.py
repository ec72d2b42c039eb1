"""WebP renditions, still and animated. Transparency is kept."""

from __future__ import annotations

from PIL import Image

from services.imaging.model import Recipe, RenditionSpec
from services.imaging.renditions.encode import RenditionFormat, saved

# A frame that asks for less is shown for this long by every browser (10 ms and below count as 100).
_MILLISECONDS_SHORT, _MILLISECONDS_SHORT_SHOWN = 10, 100
_CHUNK_AT, _FLAGS_AT, _ALPHA_FLAG = 12, 20, 0x10  # RFC 9649 2.7.1: the VP8X chunk
# libwebp encodes a frame that may become a key frame twice. Browsers need none: they play in order.
_KEYFRAME_MIN, _KEYFRAME_MAX = 0, 0


def encode(image: Image.Image, recipe: Recipe, spec: RenditionSpec) -> bytes:  # noqa: ARG001
    """`image` (L, RGB or RGBA) as a WebP file."""
    from PIL import WebPImagePlugin

    return saved(
        image, WebPImagePlugin.WebPImageFile.format,
        quality=recipe.webp_quality, method=recipe.webp_method,
    )  # fmt: skip


class WebpAnimation:
    """One animated WebP. Pillow's `save_all` goes through all frames once for each size; this
    class takes each frame once, while it is decoded."""

    def __init__(self, size: tuple[int, int], plays: int, recipe: Recipe) -> None:
        from PIL import _webp

        self._recipe = recipe
        self._milliseconds = 0
        self._has_alpha = False
        self._encoder = _webp.WebPAnimEncoder(
            size, 0, plays, False, _KEYFRAME_MIN, _KEYFRAME_MAX, False, False
        )

    def add(self, frame: Image.Image, milliseconds: int) -> None:
        """Adds `frame`, which must have this animation's size, shown for `milliseconds`."""
        if frame.mode not in ("RGB", "RGBA"):
            frame = frame.convert("RGB")
        self._has_alpha = self._has_alpha or frame.mode == "RGBA"
        self._encoder.add(frame.getim(), self._milliseconds, *self._options())
        if milliseconds <= _MILLISECONDS_SHORT:
            milliseconds = _MILLISECONDS_SHORT_SHOWN
        self._milliseconds += milliseconds

    def finish(self) -> bytes:
        """Gives the file."""
        self._encoder.add(None, self._milliseconds, *self._options())
        data: bytes | None = self._encoder.assemble("", "", "")
        if data is None:
            raise RuntimeError("libwebp could not assemble the animation")
        if self._has_alpha and data[_CHUNK_AT : _CHUNK_AT + 4] == b"VP8X":
            # libwebp declares no transparency where frames leave parts of the canvas uncovered, and
            # decoders then take them for black.
            flags = bytes((data[_FLAGS_AT] | _ALPHA_FLAG,))
            data = data[:_FLAGS_AT] + flags + data[_FLAGS_AT + 1 :]
        return data

    def _options(self) -> tuple[bool, float, float, int]:
        return False, float(self._recipe.webp_quality), 100.0, self._recipe.webp_method


FORMAT = RenditionFormat(encode, animate=WebpAnimation)
