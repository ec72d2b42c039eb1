"""Sizes to the pixel, crops inside the photo, and the resolution's bounds, from numbers alone."""

from __future__ import annotations

from math import hypot

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.imaging.printing.geometry import (
    Sheet,
    check_resolution,
    crop_around,
    crop_size,
    edge_pixels,
    orient_sheet,
)
from services.imaging.printing.model import (
    EDGE_MM_MAX,
    EDGE_MM_MIN,
    Focus,
    PrintFormat,
    PrintOrientation,
    PrintSpec,
    Verdict,
)
from tests.support import icc_profiles

# Millimetres of the finished edge and pixels with bleed, by hand: (mm + 6) / 25.4 x 300.
EDGES = {100: 1252, 130: 1606, 150: 1843, 180: 2197, 200: 2433, 300: 3614, 400: 4795}
PRODUCTS = ((100, 150), (130, 180), (200, 300), (300, 400), (200, 200))


@pytest.mark.parametrize(("edge_mm", "pixels"), EDGES.items())
def test_an_edge_has_the_pixels_of_the_table(edge_mm: int, pixels: int) -> None:
    assert edge_pixels(edge_mm) == pixels


def test_halves_are_rounded_up() -> None:
    # With bleed 47.625, 79.375 and 111.125 mm. Halves to even would make 562, 938 and 1312 of them.
    assert [edge_pixels(edge) for edge in (41.625, 73.375, 105.125)] == [563, 938, 1313]


@pytest.mark.parametrize(("short", "long"), PRODUCTS)
def test_a_print_stands_as_its_photo_does(short: int, long: int) -> None:
    for spec in (PrintSpec(short, long), PrintSpec(long, short)):
        portrait, landscape = orient_sheet(3000, 4000, spec), orient_sheet(4000, 3000, spec)
        assert (portrait.width, portrait.height) == (EDGES[short], EDGES[long])
        assert (landscape.width, landscape.height) == (EDGES[long], EDGES[short])


def test_the_caller_may_fix_how_a_print_stands() -> None:
    for photo in ((3000, 4000), (4000, 3000), (3000, 3000)):
        portrait = PrintSpec(150, 100, orientation=PrintOrientation.PORTRAIT)
        landscape = PrintSpec(100, 150, orientation=PrintOrientation.LANDSCAPE)
        assert orient_sheet(*photo, portrait) == Sheet(100, 150)
        assert orient_sheet(*photo, landscape) == Sheet(150, 100)


def test_the_print_of_a_square_photo_stands_as_it_was_ordered() -> None:
    assert orient_sheet(3000, 3000, PrintSpec(150, 100)) == Sheet(150, 100)
    assert orient_sheet(3000, 3000, PrintSpec(100, 150)) == Sheet(100, 150)


# 95.6 mm and bleed are exactly four inches.
FOUR_INCHES = PrintSpec(95.6, 95.6)


@pytest.mark.parametrize(
    ("pixels", "dpi", "verdict"),
    [
        (1200, 300.0, Verdict.GOOD),
        (600, 150.0, Verdict.GOOD),
        (599, 149.75, Verdict.LOW),
        (400, 100.0, Verdict.LOW),
        (399, 99.75, Verdict.TOO_LOW),
    ],
)
def test_the_bounds_of_the_resolution_are_exact(pixels: int, dpi: float, verdict: Verdict) -> None:
    for size in ((pixels, pixels), (pixels, 5000), (5000, pixels)):
        found = check_resolution(*size, FOUR_INCHES)
        assert (found.dpi, found.verdict) == (dpi, verdict)
        assert (found.message is None) == (verdict is Verdict.GOOD)


@pytest.mark.parametrize(("short", "long"), PRODUCTS)
@pytest.mark.parametrize(("least", "above", "below"), [
    (150, Verdict.GOOD, Verdict.LOW), (100, Verdict.LOW, Verdict.TOO_LOW),
])  # fmt: skip
def test_one_pixel_more_or_less_decides(
    short: int, long: int, least: int, above: Verdict, below: Verdict
) -> None:
    needed = -(-least * (short + 6) * 10 // 254)  # whole pixels, in whole tenths of a millimetre
    assert check_resolution(needed, 100_000, PrintSpec(short, long)).verdict is above
    assert check_resolution(needed - 1, 100_000, PrintSpec(short, long)).verdict is below


def test_the_message_says_what_to_do() -> None:
    low = check_resolution(1400, 1000, PrintSpec(200, 300)).message
    assert low == (
        "Expected 150 pixels an inch for a sharp print, but this photo has 116.2 on a print of "
        "30 x 20 cm. Please choose a print of at most 23 x 15 cm, or upload a larger original."
    )
    assert check_resolution(1400, 1000, PrintSpec(230, 150)).verdict is Verdict.GOOD
    tiny = check_resolution(60, 40, PrintSpec(200, 300)).message
    assert tiny is not None
    assert tiny.startswith("Expected at least 100 pixels an inch")
    assert tiny.endswith("Please upload a larger original.")


def test_a_resolution_just_below_the_bound_does_not_read_as_the_bound() -> None:
    message = check_resolution(59_999, 59_999, PrintSpec(900, 900)).message
    assert message is None
    nearly = check_resolution(5350, 5350, PrintSpec(900, 900))
    assert nearly.dpi == pytest.approx(149.989, abs=0.001)
    assert "149.9" in (nearly.message or "")


def test_the_crop_is_told_once_the_focus_is_known() -> None:
    spec = PrintSpec(100, 150)
    assert check_resolution(4000, 3000, spec).crop is None
    focus = Focus(0.9, 0.5)
    given_apart = check_resolution(4000, 3000, spec, focus).crop
    assert given_apart is not None
    assert given_apart == check_resolution(4000, 3000, PrintSpec(100, 150, focus=focus)).crop


MILLIMETRES = st.floats(EDGE_MM_MIN, EDGE_MM_MAX)
FRACTIONS = st.floats(0, 1)


@given(st.integers(1, 30_000), st.integers(1, 30_000), MILLIMETRES, MILLIMETRES, FRACTIONS,
       FRACTIONS, st.sampled_from(PrintOrientation))  # fmt: skip
def test_a_crop_is_inside_the_photo_and_in_proportion(
    width: int, height: int, width_mm: float, height_mm: float, x: float, y: float,
    orientation: PrintOrientation,
) -> None:  # fmt: skip
    sheet = orient_sheet(width, height, PrintSpec(width_mm, height_mm, orientation))
    crop = crop_around(width, height, sheet, Focus(x, y))
    slack = 1e-6
    assert crop.left >= 0
    assert crop.top >= 0
    assert crop.right <= width + slack
    assert crop.bottom <= height + slack
    # It fills the photo in one direction at least, and holds the focus.
    assert crop.width >= width - slack or crop.height >= height - slack
    assert crop.left - slack <= x * width <= crop.right + slack
    assert crop.top - slack <= y * height <= crop.bottom + slack
    # The file has the print's proportions to a pixel, and the crop has the file's exactly.
    assert crop.width * sheet.height == pytest.approx(crop.height * sheet.width, rel=1e-9)
    exact = sheet.width * (sheet.height_mm + 6) / (sheet.width_mm + 6)
    assert abs(sheet.height - exact) <= 0.5 + 0.5 * exact / sheet.width + slack
    assert {sheet.width_mm, sheet.height_mm} == {width_mm, height_mm}


@given(st.integers(1, 30_000), st.integers(1, 30_000), MILLIMETRES, MILLIMETRES)
def test_the_resolution_is_that_of_the_crop(
    width: int, height: int, width_mm: float, height_mm: float
) -> None:
    spec = PrintSpec(width_mm, height_mm)
    sheet = orient_sheet(width, height, spec)
    found = check_resolution(width, height, spec)
    per_pixel = hypot(*crop_size(width, height, sheet)) / hypot(sheet.width, sheet.height)
    # The file's edges are rounded to whole pixels, each by less than half a part in 300.
    assert found.dpi == pytest.approx(per_pixel * 300, rel=0.5 / 300)
    assume(found.verdict is not Verdict.GOOD)
    assert found.message


@pytest.mark.parametrize("focus", [(-0.01, 0.5), (0.5, 1.01), (float("nan"), 0.5), (800, 600)])
def test_a_focus_outside_the_photo_is_a_mistake(focus: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected a focus in fractions"):
        Focus(*focus)


@pytest.mark.parametrize("edge", [0, -10, 19.9, 900.1, float("nan"), float("inf")])
def test_a_print_of_no_sensible_size_is_a_mistake(edge: float) -> None:
    for size in ((edge, 100), (100, edge)):
        with pytest.raises(ValueError, match=r"expected .*_mm between 20 and 900"):
            PrintSpec(*size)


def test_a_photo_without_pixels_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        check_resolution(0, 100, PrintSpec(100, 150))


def test_a_spec_that_no_file_can_hold_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected an ICC profile"):
        PrintSpec(100, 150, profile=b"no profile")
    with pytest.raises(ValueError, match="expected an ICC profile for RGB or CMYK, got GRAY"):
        PrintSpec(100, 150, profile=icc_profiles.grey_profile(2.2))
    with pytest.raises(ValueError, match="expected a TIFF format"):
        PrintSpec(100, 150, profile=icc_profiles.cmyk_profile())
    PrintSpec(100, 150, profile=icc_profiles.cmyk_profile(), format=PrintFormat.TIFF_LZW)
    with pytest.raises(ValueError, match="expected jpeg_quality"):
        PrintSpec(100, 150, jpeg_quality=0)
