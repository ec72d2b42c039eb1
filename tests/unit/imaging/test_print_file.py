"""Print files: the right pixels in the right file, or a clear refusal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from services.imaging.formats.photo import Photo
from services.imaging.model import Limits, PhotoRejected, RejectionReason
from services.imaging.printing import print_file
from services.imaging.printing.model import (
    Focus,
    PrintFile,
    PrintFormat,
    PrintOrientation,
    PrintRefused,
    PrintSpec,
    RefusalReason,
)
from services.imaging.printing.print_file import make_print_file
from services.imaging.printing.sharpen import sharpen_for_print
from tests.support import damaged_photos, photos
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[3]
PRODUCTS = {
    (100, 150): (1252, 1843),
    (130, 180): (1606, 2197),
    (200, 300): (2433, 3614),
    (300, 400): (3614, 4795),
    (200, 200): (2433, 2433),
}
CENTRE = Focus(0.5, 0.5)
# 20 x 30 mm are 307 x 425 pixels with bleed.
SMALL = PrintSpec(20, 30, focus=CENTRE)


def opened(printed: PrintFile) -> Image.Image:
    image = Image.open(io.BytesIO(printed.data))
    image.load()
    return image


@pytest.mark.parametrize("landscape", [False, True])
@pytest.mark.parametrize(("size_mm", "size"), PRODUCTS.items())
def test_every_product_has_its_size_to_the_pixel(
    size_mm: tuple[int, int], size: tuple[int, int], landscape: bool
) -> None:
    printed = make_print_file(_large_photo(landscape), PrintSpec(*size_mm, focus=CENTRE))
    expected = size[::-1] if landscape else size
    assert (printed.width, printed.height) == expected
    assert opened(printed).size == expected
    mm = size_mm[::-1] if landscape else size_mm
    assert (printed.width_mm, printed.height_mm) == mm


@cache
def _large_photo(landscape: bool) -> bytes:
    return photos.jpeg(photos.scene(2000, 1500) if landscape else photos.scene(1500, 2000))


@pytest.mark.parametrize("print_format", PrintFormat)
def test_what_the_file_says_of_itself(print_format: PrintFormat) -> None:
    source = photos.jpeg(photos.scene(600, 400), exif=photos.full_exif())
    printed = make_print_file(source, PrintSpec(20, 30, focus=CENTRE, format=print_format))
    image = opened(printed)
    assert tuple(round(float(v), 2) for v in image.info["dpi"]) == (300, 300)
    assert image.info["icc_profile"]
    assert image.mode == "RGB"
    assert image.format == ("JPEG" if print_format is PrintFormat.JPEG else "TIFF")
    assert printed.format is print_format
    for private in (b"Darkroom", b"Obscura", b"GPS", b"Exif"):
        assert private not in printed.data


def test_jpeg_is_baseline_and_keeps_the_colour_of_every_pixel() -> None:
    printed = make_print_file(photos.jpeg(photos.scene(600, 400)), SMALL)
    image = opened(printed)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert JpegImagePlugin.get_sampling(image) == 0
    frame = printed.data.index(b"\xff\xc0")
    assert [printed.data[frame + 11 + 3 * i] for i in range(3)] == [0x11] * 3
    assert b"\xff\xc2" not in printed.data[:frame]


@pytest.mark.parametrize(
    ("print_format", "compression"),
    [(PrintFormat.TIFF_LZW, "tiff_lzw"), (PrintFormat.TIFF_DEFLATE, "tiff_adobe_deflate")],
)
def test_tiff_is_compressed_without_loss(print_format: PrintFormat, compression: str) -> None:
    source = photos.saved(photos.scene(425, 307), "PNG")
    order = PrintSpec(20, 30, focus=CENTRE, format=print_format)
    printed = make_print_file(source, order)
    image = opened(printed)
    assert image.info["compression"] == compression
    assert printed.format.content_type == "image/tiff"
    again = opened(make_print_file(printed.data, order))
    assert again.size == image.size  # our own files can be taken in again


@pytest.mark.parametrize("print_format", PrintFormat)
def test_the_same_order_gives_the_same_bytes(print_format: PrintFormat) -> None:
    source = photos.jpeg(photos.scene(600, 400))
    order = PrintSpec(20, 30, format=print_format)
    assert make_print_file(source, order) == make_print_file(source, order)


def test_prints_are_sharpened() -> None:
    """An edge in a photo of the print's own size, which nothing else changes."""
    photo = Image.new("RGB", (425, 307), (90, 100, 110))
    photo.paste((150, 160, 170), (212, 0, 425, 307))
    order = PrintSpec(20, 30, focus=CENTRE, format=PrintFormat.TIFF_LZW)
    printed = np.asarray(opened(make_print_file(photos.saved(photo, "PNG"), order)), dtype=int)
    assert printed.shape == (307, 425, 3)
    expected = np.asarray(sharpen_for_print(photo, 20, 30), dtype=int)
    assert abs(printed - expected).max() <= 1
    assert abs(printed - np.asarray(photo, dtype=int)).max() > 5


# Makes the print of a photo in a fresh process; prints its peak of resident memory, in MiB.
_PEAK = """
import re, sys
from pathlib import Path
from services.imaging.printing.print_file import make_print_file
from services.imaging.printing.model import PrintSpec
make_print_file(Path(sys.argv[1]).read_bytes(), PrintSpec(300, 400))
status = Path("/proc/self/status").read_text(encoding="ascii")
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak")
def test_a_print_of_fifty_megapixels_takes_less_than_a_gibibyte(tmp_path: Path) -> None:
    """Of the format that takes most (benchmarks/print_file measures the others)."""
    photo = tmp_path / "photo.webp"
    large = photos.scene(1086, 724).resize((8688, 5792), Image.Resampling.BICUBIC)
    photo.write_bytes(photos.saved(large, "WEBP", quality=80, method=0))
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, photo],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=scaled(100),
    )  # fmt: skip
    # More than a decoded photo, or the figure is not one of printing.
    assert 200 < float(done.stdout) < 1024


# --- what is in the picture -----------------------------------------------------------------------


def assert_corners(image: Image.Image, corners: dict[str, tuple[int, int, int]]) -> None:
    pixels = np.asarray(image.convert("RGB"), dtype=float)
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    parts = {
        "top-left": pixels[:h, :w], "top-right": pixels[:h, w:],
        "bottom-left": pixels[h:, :w], "bottom-right": pixels[h:, w:],
    }  # fmt: skip
    for name, part in parts.items():
        inner = part[h // 4 : -(h // 4), w // 4 : -(w // 4)].mean((0, 1))
        assert np.abs(inner - corners[name]).max() < 14, (name, inner)


def _png(image: Image.Image, orientation: int) -> bytes:
    return photos.saved(image, "PNG", exif=photos.orientation_exif(orientation))


def _jpeg(image: Image.Image, orientation: int) -> bytes:
    return photos.jpeg(image, exif=photos.orientation_exif(orientation))


def _tiff(image: Image.Image, orientation: int) -> bytes:
    return photos.tiff(np.asarray(image), orientation=orientation)


def _heic(image: Image.Image, orientation: int) -> bytes:
    return photos.heic(image, exif=photos.orientation_exif(orientation))


@pytest.mark.parametrize("build", [_jpeg, _png, _tiff, _heic])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_printed_upright(
    orientation: int, build: Callable[[Image.Image, int], bytes]
) -> None:
    stored = photos.as_stored(photos.scene(600, 400), orientation)
    printed = make_print_file(build(stored, orientation), SMALL)
    assert (printed.width, printed.height) == (425, 307)
    assert printed.dpi == pytest.approx(400 / (26 / 25.4))
    assert_corners(opened(printed), photos.CORNERS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_focus_is_of_the_upright_photo(orientation: int) -> None:
    """A marked point is printed where the crop says it is, however the photo is stored."""
    upright = photos.scene(900, 300)
    upright.paste((255, 0, 255), (770, 130, 810, 170))
    stored = photos.as_stored(upright, orientation)
    order = PrintSpec(20, 20, focus=Focus(790 / 900, 0.5))
    printed = make_print_file(_jpeg(stored, orientation), order)
    assert printed.crop.left == 600
    pixels = np.asarray(opened(printed).convert("RGB"), dtype=int)
    scale = printed.width / printed.crop.width
    x, y = round((790 - printed.crop.left) * scale), round(150 * scale)
    assert np.abs(pixels[y - 10 : y + 10, x - 10 : x + 10] - (255, 0, 255)).mean() < 12


def test_a_fixed_orientation_crops_across_the_photo() -> None:
    order = PrintSpec(20, 30, orientation=PrintOrientation.PORTRAIT, focus=Focus(0.0, 0.5))
    printed = make_print_file(photos.jpeg(photos.scene(900, 600)), order)
    assert (printed.width, printed.height) == (307, 425)
    assert (printed.crop.left, printed.crop.height) == (0, 600)


def test_the_whole_photo_is_printed_where_its_proportions_are_the_prints() -> None:
    printed = make_print_file(photos.jpeg(photos.scene(425, 307)), SMALL)
    assert (printed.crop.left, printed.crop.top) == (0, 0)
    assert (printed.crop.width, printed.crop.height) == pytest.approx((425, 307))


@pytest.mark.parametrize("size", [(3400, 2456), (3407, 2459)])
def test_decoding_smaller_changes_nothing_that_is_seen(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Eight pixels for one: decoded at a quarter, against decoded whole."""
    rng = np.random.default_rng(4)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    source = photos.jpeg(coarse.resize(size, Image.Resampling.BICUBIC))
    decoded: list[tuple[int, int]] = []
    still = Photo.still

    def watched(photo: Photo, covering: tuple[int, int]) -> Image.Image:
        picture = still(photo, covering)
        decoded.append(picture.size)
        return picture

    monkeypatch.setattr(Photo, "still", watched)
    smaller = np.asarray(opened(make_print_file(source, SMALL)), dtype=float)
    monkeypatch.setattr(print_file, "_DECODED_PER_PRINTED", 1e9)
    whole = np.asarray(opened(make_print_file(source, SMALL)), dtype=float)
    assert decoded == [(-(-size[0] // 4), -(-size[1] // 4)), size]
    error = ((smaller - whole) ** 2).mean()
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > 40


# --- resolution -----------------------------------------------------------------------------------

# 95.6 mm and bleed are exactly four inches.
FOUR_INCHES = PrintSpec(95.6, 95.6, focus=CENTRE)


@pytest.mark.parametrize(("edge", "warned"), [(601, False), (600, False), (599, True), (400, True)])
def test_a_low_resolution_is_warned_of(edge: int, warned: bool) -> None:
    printed = make_print_file(photos.jpeg(photos.scene(edge, edge)), FOUR_INCHES)
    assert (printed.warning is not None) == warned
    assert printed.dpi == edge / 4
    assert (printed.width, printed.height) == (1200, 1200)


def test_too_low_a_resolution_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("services.imaging.formats.photo.Photo.still", forbidden)
    for build in (_jpeg, _png, _tiff, _heic):
        for orientation in (1, 6):
            with pytest.raises(PrintRefused) as caught:
                make_print_file(build(photos.scene(500, 399), orientation), FOUR_INCHES)
            assert caught.value.reason is RefusalReason.RESOLUTION_TOO_LOW
            assert "99.7 on a print of 9.56 x 9.56 cm" in caught.value.message
    with pytest.raises(AssertionError):
        make_print_file(photos.jpeg(photos.scene(500, 400)), FOUR_INCHES)


# --- damaged photos -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(damaged_photos.valid_files()))
def test_every_format_is_refused_for_its_size(name: str) -> None:
    with pytest.raises(PrintRefused):
        make_print_file(damaged_photos.valid_files()[name], PrintSpec(100, 150))


BUILDERS = {
    "baseline.jpg": lambda image: photos.jpeg(image),
    "progressive.jpg": lambda image: photos.jpeg(image, progressive=True),
    "photo.png": lambda image: photos.saved(image, "PNG"),
    "photo.webp": lambda image: photos.saved(image, "WEBP", quality=85),
    "photo.tif": lambda image: photos.saved(image, "TIFF", compression="tiff_lzw"),
    "photo.gif": lambda image: photos.saved(image.quantize(64), "GIF"),
    "photo.heic": lambda image: photos.heic(image),
    "photo.avif": lambda image: photos.avif(image),
}


@pytest.mark.parametrize("percent", [1, 40, 80, 99])
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_truncated_photo_is_never_printed(name: str, percent: int) -> None:
    source = BUILDERS[name](photos.scene(240, 180))
    make_print_file(source, SMALL)
    with pytest.raises(PhotoRejected) as caught:
        make_print_file(source[: len(source) * percent // 100], SMALL)
    assert caught.value.reason in (RejectionReason.TRUNCATED, RejectionReason.NOT_AN_IMAGE)


def test_every_damaged_file_is_printed_rejected_or_refused() -> None:
    """The corpus's pictures have 96 x 64 pixels, too few to print unless their size is damaged."""
    ends: Counter[str] = Counter()
    for name, source in damaged_photos.damaged_corpus():
        try:
            printed = make_print_file(source, SMALL)
        except (PhotoRejected, PrintRefused) as verdict:
            ends[verdict.reason.value] += 1
        else:
            assert printed.data, name
            ends["printed"] += 1
    for reason in ("truncated", "damaged", "polyglot", "not-an-image", "empty"):
        assert ends[reason], ends
    assert ends["resolution-too-low"], ends


def test_the_damage_behind_the_header_is_found_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.imaging.printing.geometry.REFUSE_BELOW_DPI", 1)
    ends: Counter[str] = Counter()
    for _, source in damaged_photos.damaged_corpus():
        try:
            make_print_file(source, SMALL)
        except (PhotoRejected, PrintRefused) as verdict:
            ends[verdict.reason.value] += 1
        else:
            ends["printed"] += 1
    for reason in ("printed", "truncated", "damaged"):
        assert ends[reason] > 20, ends


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(bytes_max=100), RejectionReason.TOO_MANY_BYTES),
        (Limits(pixels_per_frame_max=1000), RejectionReason.TOO_MANY_PIXELS),
        (Limits(pixels_in_all_max=1000), RejectionReason.TOO_MANY_PIXELS_IN_ALL),
        (Limits(seconds_max=-1), RejectionReason.TIMED_OUT),
    ],
)
def test_limits_are_those_of_developing(limits: Limits, reason: RejectionReason) -> None:
    with pytest.raises(PhotoRejected) as caught:
        make_print_file(photos.jpeg(photos.scene(600, 400)), SMALL, limits)
    assert caught.value.reason is reason


def test_of_an_animation_the_first_frame_is_printed() -> None:
    frames = [Image.new("RGB", (500, 400), colour) for colour in ("red", "blue")]
    source = photos.saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    pixels = np.asarray(opened(make_print_file(source, SMALL)).convert("RGB"))
    assert np.abs(pixels.mean((0, 1)) - (255, 0, 0)).max() < 4


# --- everything at once ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(110, 500), st.integers(110, 500), st.floats(20, 40), st.floats(20, 40),
    st.floats(0, 1), st.floats(0, 1), st.integers(1, 8), st.sampled_from(PrintOrientation),
)  # fmt: skip
def test_any_photo_on_any_print(
    width: int, height: int, width_mm: float, height_mm: float, x: float, y: float, turn: int,
    stands: PrintOrientation,
) -> None:  # fmt: skip
    stored = photos.as_stored(photos.scene(width, height), turn)
    order = PrintSpec(width_mm, height_mm, stands, Focus(x, y))
    try:
        printed = make_print_file(_jpeg(stored, turn), order)
    except PrintRefused:
        return
    assert opened(printed).size == (printed.width, printed.height)
    crop = printed.crop
    assert -1e-6 <= crop.left <= x * width + 1e-6
    assert -1e-6 <= crop.top <= y * height + 1e-6
    assert x * width <= crop.right + 1e-6 <= width + 2e-6
    assert y * height <= crop.bottom + 1e-6 <= height + 2e-6
    assert abs(crop.width / crop.height * printed.height - printed.width) < 1
