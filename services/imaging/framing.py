"""What part of a photo a rendition shows, and at which size.

A size without `cover` shows the whole photo. One with `cover` is filled by it: the photo is scaled
until it covers the size, and what reaches over two of its edges is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from services.imaging.model import Focus, RenditionSpec
from services.imaging.scale import fit

# Where the crop begins in the room that is left: 0 is at the left or top edge, 1 at the other.
_OFFSETS: dict[Focus, tuple[float, float]] = {
    Focus.CENTRE: (0.5, 0.5),
    Focus.TOP: (0.5, 0.0),
    Focus.BOTTOM: (0.5, 1.0),
    Focus.LEFT: (0.0, 0.5),
    Focus.RIGHT: (1.0, 0.5),
}


@dataclass(frozen=True)
class Frame:
    """The whole photo is scaled to `scaled`, and cut to `size` around `focus`. Pixels."""

    scaled: tuple[int, int]
    size: tuple[int, int]
    focus: Focus


def frame(photo: tuple[int, int], spec: RenditionSpec) -> Frame:
    """How a photo of this size is shown in the rendition `spec`. It is never made larger: one that
    does not cover the size gives the largest part of it that has its proportions."""
    if spec.cover is None:
        size = fit(photo, spec.long_edge_pixels)
        return Frame(size, size, Focus.CENTRE)
    width, height = photo
    wanted_width, wanted_height = spec.cover.width, spec.cover.height
    factor = max(wanted_width / width, wanted_height / height)
    if factor < 1:
        size = (wanted_width, wanted_height)
        scaled = (
            max(wanted_width, round(width * factor)),
            max(wanted_height, round(height * factor)),
        )
        return Frame(scaled, size, spec.cover.focus)
    size = (
        max(1, min(width, round(height * wanted_width / wanted_height))),
        max(1, min(height, round(width * wanted_height / wanted_width))),
    )
    return Frame(photo, size, spec.cover.focus)


@dataclass
class Cutter:
    """Cuts pictures of one photo to their frames. All frames of an animation are cut at the same
    place: where the first one was."""

    _corners: dict[Frame, tuple[int, int]] = field(default_factory=dict)

    def cut(self, picture: Image.Image, target: Frame) -> Image.Image:
        """`picture`, which has the size `target.scaled`, cut to `target.size`."""
        if target.scaled == target.size:
            return picture
        if target not in self._corners:
            self._corners[target] = _corner(picture, target)
        left, top = self._corners[target]
        width, height = target.size
        return picture.crop((left, top, left + width, top + height))


def _corner(picture: Image.Image, target: Frame) -> tuple[int, int]:
    across, down = (scaled - size for scaled, size in zip(target.scaled, target.size, strict=True))
    if target.focus is Focus.SUBJECT:
        offset = _subject_offset(picture, target, across=across >= down)
        offsets = (offset, 0.5) if across >= down else (0.5, offset)
    else:
        offsets = _OFFSETS[target.focus]
    return round(across * offsets[0]), round(down * offsets[1])


def _subject_offset(picture: Image.Image, target: Frame, *, across: bool) -> float:
    from services.imaging.printing.saliency import LONG_EDGE_PIXELS, best_offset

    small = picture.resize(fit(picture.size, LONG_EDGE_PIXELS), Image.Resampling.BOX)
    edge = 0 if across else 1
    part = target.size[edge] / target.scaled[edge]
    return best_offset(small.convert("RGB"), part, across=across)
