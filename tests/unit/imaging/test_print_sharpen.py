"""Sharpening for paper: stronger edges, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from services.imaging.printing import sharpen
from services.imaging.printing.sharpen import radius_pixels, sharpen_for_print


def test_the_radius_follows_the_viewing_distance() -> None:
    assert radius_pixels(100, 150) == pytest.approx(1.5, abs=0.001)  # 30 cm, pixels an inch / 200
    assert radius_pixels(200, 300) == pytest.approx(1.703, abs=0.001)  # its diagonal: 36 cm
    assert radius_pixels(300, 400) == pytest.approx(2.362, abs=0.001)
    assert radius_pixels(600, 900) == 3.0  # a halo of 1/50 inch at most


def _edge(left: tuple[int, ...], right: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGB", (60, 40), left)
    image.paste(right, (30, 0, 60, 40))
    return image


def test_an_edge_gets_steeper_and_flat_parts_stay_to_the_bit() -> None:
    before = _edge((90, 100, 110), (150, 160, 170))
    after = np.asarray(sharpen_for_print(before, 100, 150), dtype=int)
    assert after[20, 29, 1] < 95
    assert after[20, 30, 1] > 165
    assert (after[:, :15] == (90, 100, 110)).all()
    assert (after[:, 45:] == (150, 160, 170)).all()


def test_an_edge_gets_no_coloured_fringe() -> None:
    # The same lightness, another colour: nothing for the mask to do. Elsewhere all three channels
    # move by the same amount.
    after = np.asarray(sharpen_for_print(_edge((90, 100, 110), (150, 190, 120)), 100, 150), int)
    moved = after - np.asarray(_edge((90, 100, 110), (150, 190, 120)), int)
    assert (moved[:, :, 0] == moved[:, :, 1]).all()
    assert (moved[:, :, 0] == moved[:, :, 2]).all()
    assert moved.any()


def test_grain_is_left_alone() -> None:
    rng = np.random.default_rng(2)
    grain = Image.fromarray((128 + rng.integers(-1, 2, (80, 80, 1))).repeat(3, 2).astype(np.uint8))
    assert sharpen_for_print(grain, 100, 150).tobytes() == grain.tobytes()


@pytest.mark.parametrize("size_mm", [(100, 150), (600, 900)])
def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch, size_mm: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (301, 50, 3), np.uint8))
    whole = sharpen_for_print(image, *size_mm)
    monkeypatch.setattr(sharpen, "_STRIP_ROWS", 37)
    assert sharpen_for_print(image, *size_mm).tobytes() == whole.tobytes()


def test_grey_is_sharpened_as_colour_is() -> None:
    colour = _edge((90, 90, 90), (150, 150, 150))
    grey = sharpen_for_print(colour.convert("L"), 100, 150)
    assert grey.mode == "L"
    found = np.asarray(grey, int) - np.asarray(sharpen_for_print(colour, 100, 150), int)[:, :, 0]
    assert abs(found).max() <= 1
