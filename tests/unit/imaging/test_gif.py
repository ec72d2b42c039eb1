"""GIF frames on their canvas: what is not covered, and what is disposed of."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from services.imaging.develop import develop
from services.imaging.model import Developed, OutputFormat, Recipe
from tests.support import photos

WIDTH, HEIGHT = 96, 64
RED, GREEN, BLUE = range(3)
PALETTE = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0))
KEEP, TO_BACKGROUND, TO_PREVIOUS = 1, 2, 3
CORNER, INSIDE = (2, 2), (28, 28)


def frame(colour: int, box: tuple[int, int, int, int], disposal: int = KEEP) -> bytes:
    """A frame of one colour at `box` (left, top, width, height)."""
    image = Image.new("P", box[2:], colour)
    image.putpalette(PALETTE)
    encoded = photos.saved(image, "GIF", optimize=False)
    at = encoded.index(b",\0\0\0\0")
    flags = encoded[at + 9]
    data = at + 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    control = b"!\xf9\x04" + bytes((disposal << 2, 10, 0, 0, 0))
    return control + b"," + struct.pack("<HHHHB", *box, 0) + encoded[data:-1]


def gif(*frames: bytes) -> bytes:
    """A GIF whose background colour is green."""
    head = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0x91, GREEN, 0)
    return head + PALETTE + b"".join(frames) + b";"


WHOLE, PART = (0, 0, WIDTH, HEIGHT), (20, 20, 40, 20)


def shown(developed: Developed, index: int, at: tuple[int, int]) -> tuple[int, ...]:
    """The pixel of an animation's frame, with alpha."""
    image = Image.open(io.BytesIO(next(r.data for r in developed.renditions if r.animated)))
    image.seek(index)
    pixel = image.convert("RGBA").getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel


def is_colour(pixel: tuple[int, ...], colour: int) -> bool:
    wanted = PALETTE[3 * colour : 3 * colour + 3]
    return all(abs(p - w) < 16 for p, w in zip(pixel, (*wanted, 255), strict=True))


def test_develop_gif_canvas_that_no_frame_covers_is_transparent() -> None:
    developed = develop(gif(frame(BLUE, PART)), Recipe(formats=(OutputFormat.WEBP,)))
    still = Image.open(io.BytesIO(developed.renditions[0].data)).convert("RGBA")
    corner = still.getpixel(CORNER)
    assert isinstance(corner, tuple)
    assert corner[3] == 0


@pytest.mark.parametrize(
    ("disposal", "first", "colour"),
    [(KEEP, WHOLE, BLUE), (TO_BACKGROUND, WHOLE, None), (TO_PREVIOUS, WHOLE, None)],
)
def test_develop_gif_disposal_leaves_what_it_says(
    disposal: int, first: tuple[int, int, int, int], colour: int | None
) -> None:
    developed = develop(gif(frame(BLUE, first, disposal), frame(RED, PART)))
    corner = shown(developed, 1, CORNER)
    assert is_colour(shown(developed, 1, INSIDE), RED)
    assert corner[3] == 0 if colour is None else is_colour(corner, colour)


def test_develop_gif_disposal_to_previous_restores_the_frame_before() -> None:
    source = gif(frame(BLUE, WHOLE), frame(RED, PART, TO_PREVIOUS), frame(GREEN, (0, 0, 8, 8)))
    developed = develop(source)
    assert is_colour(shown(developed, 1, INSIDE), RED)
    assert is_colour(shown(developed, 2, INSIDE), BLUE)
