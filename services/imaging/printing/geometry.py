"""Maps a photo's pixels to paper. Numbers only: no pixel is read, Pillow is not loaded.

The crop fills the print and its bleed: the largest part of the photo in those proportions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from services.imaging.printing.model import (
    BLEED_MM,
    MM_PER_INCH,
    PRINT_DPI,
    REFUSE_BELOW_DPI,
    WARN_BELOW_DPI,
    Focus,
    PrintOrientation,
    PrintSpec,
    Resolution,
    Verdict,
    Window,
)


@dataclass(frozen=True)
class Sheet:
    """A print in its orientation: finished size in millimetres, size of its file in pixels."""

    width_mm: float
    height_mm: float

    @property
    def width(self) -> int:
        """Pixels across, bleed included."""
        return edge_pixels(self.width_mm)

    @property
    def height(self) -> int:
        """Pixels down, bleed included."""
        return edge_pixels(self.height_mm)


def edge_pixels(edge_mm: float) -> int:
    """The pixels of an edge with its bleed at both ends: the nearest whole number, halves up.

    (Whole millimetres never end in a half: that would take 127 to divide 3000.)
    """
    return floor((edge_mm + 2 * BLEED_MM) * PRINT_DPI / MM_PER_INCH + 0.5)


def orient_sheet(width_px: int, height_px: int, spec: PrintSpec) -> Sheet:
    """The print of a photo with so many pixels (upright), in its orientation. A square photo has
    none; its print has the spec's width and height as written."""
    short, long = sorted((spec.width_mm, spec.height_mm))
    match spec.orientation:
        case PrintOrientation.PORTRAIT:
            return Sheet(short, long)
        case PrintOrientation.LANDSCAPE:
            return Sheet(long, short)
        case PrintOrientation.FOLLOWS_PHOTO if width_px < height_px:
            return Sheet(short, long)
        case PrintOrientation.FOLLOWS_PHOTO if width_px > height_px:
            return Sheet(long, short)
        case PrintOrientation.FOLLOWS_PHOTO:
            return Sheet(spec.width_mm, spec.height_mm)


def crop_size(width_px: int, height_px: int, sheet: Sheet) -> tuple[float, float]:
    """Width and height of the largest part of the photo in the proportions of the print's file."""
    scale = min(width_px / sheet.width, height_px / sheet.height)
    return min(width_px, sheet.width * scale), min(height_px, sheet.height * scale)


def crop_around(width_px: int, height_px: int, sheet: Sheet, focus: Focus) -> Window:
    """The crop with `focus` in its middle, or as near to it as the photo's edges allow."""
    width, height = crop_size(width_px, height_px, sheet)
    left = min(max(0.0, focus.x * width_px - width / 2), width_px - width)
    top = min(max(0.0, focus.y * height_px - height / 2), height_px - height)
    return Window(left, top, width, height)


def check_resolution(
    width_px: int, height_px: int, spec: PrintSpec, focus: Focus | None = None
) -> Resolution:
    """Whether a photo has enough pixels for a print, from nothing but its size.

    `width_px` and `height_px` are as seen, after orientation (`Facts.width` and `.height`). The
    resolution does not depend on the focus, as every crop has the same size; with `focus`,
    or one in `spec`, the crop is given as well, for a preview.
    """
    if width_px < 1 or height_px < 1:
        raise ValueError(
            f"expected a photo of at least one pixel, got {width_px} x {height_px}; "
            "give the size of the upright photo"
        )
    sheet = orient_sheet(width_px, height_px, spec)
    dpi = min(
        _dpi(width_px, sheet.width_mm + 2 * BLEED_MM),
        _dpi(height_px, sheet.height_mm + 2 * BLEED_MM),
    )
    around = focus or spec.focus
    crop = crop_around(width_px, height_px, sheet, around) if around else None
    verdict = _verdict(dpi)
    if verdict is Verdict.GOOD:
        return Resolution(dpi, verdict, crop, None)
    sharp = _largest(sheet, dpi / WARN_BELOW_DPI)
    return Resolution(dpi, verdict, crop, _message(verdict, dpi, sheet, sharp), sharp)


def _dpi(pixels: int, length_mm: float) -> float:
    # Rounded to where floats are exact, so that 600 pixels on 4 inches are 150 and not a little
    # less: 95.6 + 6 is not quite 101.6 in binary.
    return round(pixels * MM_PER_INCH / length_mm, 9)


def _verdict(dpi: float) -> Verdict:
    if dpi < REFUSE_BELOW_DPI:
        return Verdict.TOO_LOW
    return Verdict.LOW if dpi < WARN_BELOW_DPI else Verdict.GOOD


def _message(verdict: Verdict, dpi: float, sheet: Sheet, sharp: tuple[int, int] | None) -> str:
    expected = (
        f"at least {REFUSE_BELOW_DPI} pixels an inch"
        if verdict is Verdict.TOO_LOW
        else f"{WARN_BELOW_DPI} pixels an inch for a sharp print"
    )
    message = (
        f"Expected {expected}, but this photo has {shown_dpi(dpi):g} on a print of "
        f"{size_in_cm(sheet.width_mm, sheet.height_mm)}."
    )
    if sharp is None:
        return f"{message} Please upload a larger original."
    return (
        f"{message} Please choose a print of at most {size_in_cm(*sharp)}, or upload a larger "
        "original."
    )


def shown_dpi(dpi: float) -> float:
    """A resolution with one decimal. Down, never up: 149.96 must not read as 150."""
    return floor(dpi * 10) / 10


def _largest(sheet: Sheet, factor: float) -> tuple[int, int] | None:
    """The largest print in these proportions that is sharp, in mm, in whole centimetres."""
    width, height = (
        floor(((edge + 2 * BLEED_MM) * factor - 2 * BLEED_MM) / 10) * 10
        for edge in (sheet.width_mm, sheet.height_mm)
    )
    return (width, height) if min(width, height) >= 50 else None


def size_in_cm(width_mm: float, height_mm: float) -> str:
    """A print's size as people write it: "10 x 15 cm"."""
    return f"{width_mm / 10:g} x {height_mm / 10:g} cm"
