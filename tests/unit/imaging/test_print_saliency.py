"""The crop of a print without a chosen focus shows the most salient part."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.imaging.printing.model import Focus, PrintSpec
from services.imaging.printing.print_file import make_print_file
from services.imaging.printing.saliency import LONG_EDGE_PIXELS, best_offset
from tests.support import photos

WIDTH, HEIGHT = 900, 600
SQUARE = PrintSpec(20, 20)
SKIN_TONES = ((255, 224, 196), (224, 172, 125), (141, 85, 54), (92, 58, 40))


def _ground(colour: tuple[int, int, int] = (110, 130, 120), grain: float = 3) -> Image.Image:
    rng = np.random.default_rng(5)
    pixels = np.full((HEIGHT, WIDTH, 3), colour, dtype=float)
    pixels += np.linspace(-10, 10, HEIGHT)[:, None, None]
    pixels += rng.normal(0, grain, (HEIGHT, WIDTH, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _with_disc(x: int, y: int, colour: tuple[int, int, int], radius: int = 60) -> Image.Image:
    image = _ground()
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image


@pytest.mark.parametrize("x", [80, 250, 450, 700, 820])
@pytest.mark.parametrize("colour", [(220, 40, 30), (30, 40, 60), *SKIN_TONES])
def test_a_subject_off_the_middle_is_found(x: int, colour: tuple[int, int, int]) -> None:
    crop = make_print_file(photos.jpeg(_with_disc(x, 300, colour)), SQUARE).crop
    assert crop.left <= x - 60
    assert x + 60 <= crop.right
    # In the middle of the crop, unless the photo ends before.
    wanted = min(max(x, HEIGHT / 2), WIDTH - HEIGHT / 2)
    assert abs(crop.left + crop.width / 2 - wanted) < 40


@pytest.mark.parametrize("y", [80, 520, 800])
def test_a_portrait_is_cropped_above_and_below(y: int) -> None:
    image = _ground().transpose(Image.Transpose.ROTATE_90)
    ImageDraw.Draw(image).ellipse((240, y - 60, 360, y + 60), fill=(220, 40, 30))
    crop = make_print_file(photos.jpeg(image), SQUARE).crop
    assert crop.top <= y - 60
    assert y + 60 <= crop.bottom
    assert (crop.left, crop.width) == (0, HEIGHT)


def test_a_face_counts_more_than_a_thing_of_its_size() -> None:
    image = _with_disc(100, 300, (60, 90, 150))
    ImageDraw.Draw(image).ellipse((740, 240, 860, 360), fill=SKIN_TONES[1])
    crop = make_print_file(photos.jpeg(image), SQUARE).crop
    assert crop.right >= 860
    assert crop.left > 160


def test_a_sharp_subject_counts_more_than_a_soft_ground() -> None:
    image = _ground(grain=0)
    rng = np.random.default_rng(6)
    detail = Image.fromarray(rng.integers(80, 170, (15, 15), np.uint8)).resize((150, 150), 0)
    image.paste(detail.convert("RGB"), (700, 220))
    crop = make_print_file(photos.jpeg(image), SQUARE).crop
    assert crop.right >= 850


@pytest.mark.parametrize("grain", [0, 4])
def test_without_a_subject_the_middle_is_printed(grain: float) -> None:
    flat = Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)) if not grain else _ground(grain=grain)
    crop = make_print_file(photos.jpeg(flat), SQUARE).crop
    assert abs(crop.left - (WIDTH - HEIGHT) / 2) < 60


def test_a_chosen_focus_outranks_what_is_salient() -> None:
    source = photos.jpeg(_with_disc(800, 300, (220, 40, 30)))
    crop = make_print_file(source, PrintSpec(20, 20, focus=Focus(0.0, 0.5))).crop
    assert crop.left == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_subject_is_found_however_the_photo_is_stored(orientation: int) -> None:
    stored = photos.as_stored(_with_disc(780, 300, (220, 40, 30)), orientation)
    source = photos.jpeg(stored, exif=photos.orientation_exif(orientation))
    assert make_print_file(source, SQUARE).crop.right >= 840


@pytest.mark.parametrize("size", [(1, 1), (1, 160), (160, 1), (2, 3), (LONG_EDGE_PIXELS, 90)])
@pytest.mark.parametrize("part", [0.001, 0.5, 1.0])
def test_every_size_has_an_offset(size: tuple[int, int], part: float) -> None:
    image = Image.effect_noise(size, 60).convert("RGB")
    for across in (True, False):
        assert 0 <= best_offset(image, part, across=across) <= 1
