"""Turns a picture upright (EXIF 3.0, tag 0x0112: where row 0 and column 0 are to be seen)."""

from __future__ import annotations

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """`image` as it is meant to be seen. `orientation` is 1..8."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The size that a picture of `size` has when upright: 5 to 8 swap them."""
    return (size[1], size[0]) if orientation >= 5 else size


def stored_box(
    box: tuple[float, float, float, float], size: tuple[int, int], orientation: int
) -> tuple[float, float, float, float]:
    """`box` (left, top, right, bottom) of an upright picture of `size`, in the coordinates of the
    picture as it is stored, before `upright` turns it."""
    left, top, right, bottom = box
    width, height = size
    if orientation in (2, 3, 6, 7):  # left is right
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):  # top is bottom
        top, bottom = height - bottom, height - top
    # 5 to 8 swap width and height.
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)
