"""Every format and kind of file that is taken in."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from services.imaging import develop as pipeline
from services.imaging.develop import develop
from services.imaging.inspection import OpenedPhoto, open_photo
from services.imaging.limits import Deadline
from services.imaging.model import (
    JpegFlavour,
    Limits,
    OutputFormat,
    Recipe,
    Rendition,
    RenditionSpec,
    SourceFormat,
)
from tests.support import damaged_photos, icc_profiles, photos

RECIPE = Recipe(jpeg_quality=95, webp_quality=95)
FRAME_MARKERS = {"baseline": b"\xff\xc0", "progressive": b"\xff\xc2"}
FORMATS = {
    "jpg": SourceFormat.JPEG, "mpo": SourceFormat.JPEG, "png": SourceFormat.PNG,
    "webp": SourceFormat.WEBP, "gif": SourceFormat.GIF, "tif": SourceFormat.TIFF,
    "heic": SourceFormat.HEIF, "avif": SourceFormat.AVIF,
}  # fmt: skip


# Fewer colours, transparency over white, or a profile: compared elsewhere.
ODD_COLOURS = ("palette.png", "still.gif", "lossless.webp", "progressive.jpg")


def _pixels(rendition: Rendition) -> np.ndarray:
    image = Image.open(io.BytesIO(rendition.data)).convert("RGB")
    return np.asarray(image, dtype=float)


@pytest.mark.parametrize("name", sorted(damaged_photos.valid_files()))
def test_develop_valid_file_gives_all_renditions(name: str) -> None:
    developed = develop(damaged_photos.valid_files()[name], RECIPE)

    assert developed.facts.format is FORMATS[name.rsplit(".")[-1]]
    assert {(r.name, r.format) for r in developed.renditions} == {
        (size, output)
        for size in ("thumb", "medium", "large")
        for output in (OutputFormat.JPEG, OutputFormat.WEBP)
    }
    for rendition in developed.renditions:
        opened = Image.open(io.BytesIO(rendition.data))
        assert opened.format == rendition.format.value.upper()
        assert opened.size == (rendition.width, rendition.height)
    if not name.startswith("moving") and name not in ODD_COLOURS:
        scene = np.asarray(photos.scene(), dtype=float)
        if name == "grey.jpg":
            scene = np.asarray(photos.scene().convert("L").convert("RGB"), dtype=float)
        assert np.abs(_pixels(developed.renditions[0]) - scene).mean() < 8


LEVELS = np.arange(32)[None, :].repeat(16, axis=0)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "kind"),
    [(d, photos.GREY) for d in (1, 2, 4, 8, 16)]
    + [(d, k) for d in (8, 16) for k in (photos.RGB, photos.GREY_ALPHA, photos.RGBA)],
)
def test_develop_png_of_any_depth_keeps_levels(depth: int, kind: int, interlaced: bool) -> None:
    most = 2**depth - 1
    grey = LEVELS * most // 31
    channels = {photos.GREY: 1, photos.RGB: 3, photos.GREY_ALPHA: 2, photos.RGBA: 4}[kind]
    samples = np.dstack([grey] * channels)
    if kind in (photos.GREY_ALPHA, photos.RGBA):
        samples[:, :, -1] = most
    source = photos.png(samples, depth, kind, interlaced=interlaced)

    webp = next(r for r in develop(source, RECIPE).renditions if r.format is OutputFormat.WEBP)

    expected = np.dstack([grey * 255 / most] * 3)
    assert np.abs(_pixels(webp) - expected).mean() < 5


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_develop_png_palette_of_any_depth_keeps_colours(depth: int, interlaced: bool) -> None:
    colours = np.array([[i * 37 % 256, i * 91 % 256, 255 - i * 53 % 256] for i in range(2**depth)])
    palette = photos.chunk(b"PLTE", bytes(colours.astype(np.uint8).reshape(-1)))
    # Blocks of 16, as chroma is stored at half resolution.
    indices = (np.arange(64) // 16 % 2**depth)[None, :].repeat(16, axis=0)
    source = photos.png(indices, depth, photos.PALETTE, interlaced=interlaced, extra=[palette])

    webp = next(r for r in develop(source, RECIPE).renditions if r.format is OutputFormat.WEBP)

    pixels = _pixels(webp)
    for i in range(4):
        middle = pixels[4:12, 16 * i + 4 : 16 * i + 12].mean((0, 1))
        assert np.abs(middle - colours[i % 2**depth]).max() < 12


@pytest.mark.parametrize(
    "compression",
    ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "tiff_deflate", "zstd"],
)
def test_develop_tiff_of_any_compression_keeps_pixels(compression: str) -> None:
    source = photos.saved(photos.scene(), "TIFF", compression=compression)
    scene = np.asarray(photos.scene(), dtype=float)
    assert np.abs(_pixels(develop(source, RECIPE).renditions[0]) - scene).mean() < 6


def test_develop_mpo_shows_first_picture() -> None:
    assert np.abs(
        _pixels(develop(photos.mpo(), RECIPE).renditions[0])
        - np.asarray(photos.scene(), dtype=float)
    ).mean() < 6  # fmt: skip


def test_develop_ten_bit_heic_keeps_pixels() -> None:
    import pillow_heif

    samples = np.asarray(photos.scene(), dtype=np.uint16) * 257
    out = io.BytesIO()
    pillow_heif.encode(
        "RGB;16", (damaged_photos.WIDTH, damaged_photos.HEIGHT), samples.tobytes(), out, quality=90
    )
    developed = develop(out.getvalue(), RECIPE)
    scene = np.asarray(photos.scene(), dtype=float)
    assert np.abs(_pixels(developed.renditions[0]) - scene).mean() < 6


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "AVIF"])
def test_develop_animation_gives_animated_webp_and_stills(name: str) -> None:
    recipe = Recipe(
        renditions=(RenditionSpec("thumb", 24), RenditionSpec("large", 2048)),
        jpeg_quality=95, webp_quality=95,
    )  # fmt: skip
    developed = develop(photos.animation(name), recipe)

    assert developed.facts.frames == 5
    assert (developed.facts.width, developed.facts.height) == (48, 32)
    stills = [r for r in developed.renditions if r.format is OutputFormat.JPEG]
    moving = [r for r in developed.renditions if r.format is OutputFormat.WEBP]
    assert [(r.width, r.height) for r in stills] == [(24, 16), (48, 32)]
    assert [(r.width, r.height) for r in moving] == [(24, 16), (48, 32)]
    assert all(r.animated for r in moving)
    assert not any(r.animated for r in stills)
    frames = photos.moving_frames()
    opened = Image.open(io.BytesIO(moving[1].data))
    assert opened.n_frames == 5  # type: ignore[attr-defined]
    assert opened.info["loop"] == 0
    for i, frame in enumerate(frames):
        opened.seek(i)
        shown = np.asarray(opened.convert("RGB"), dtype=float)
        assert np.abs(shown - np.asarray(frame, dtype=float)).mean() < 8
        assert opened.info["duration"] == 80
    first = np.asarray(frames[0], dtype=float)
    assert np.abs(_pixels(stills[1]) - first).mean() < 8


def test_develop_apng_default_image_is_not_in_animation() -> None:
    frames = photos.moving_frames(3)
    default = Image.new("RGB", frames[0].size, (255, 255, 255))
    source = photos.saved(
        default, "PNG", save_all=True, append_images=frames, default_image=True, duration=50
    )
    developed = develop(source, RECIPE)
    assert developed.facts.frames == 3
    animated = next(r for r in developed.renditions if r.animated)
    assert Image.open(io.BytesIO(animated.data)).n_frames == 3  # type: ignore[attr-defined]
    assert _pixels(developed.renditions[0]).mean() < 100


def test_develop_gif_partial_frame_keeps_previous_pixels() -> None:
    """Disposal: the second frame paints one corner only, the rest of the first shows on."""
    first = Image.new("P", (40, 40), 0)
    first.putpalette([200, 30, 30, 30, 30, 200])
    second = first.copy()
    second.paste(1, (0, 0, 10, 10))
    source = photos.saved(
        first, "GIF", save_all=True, append_images=[second], duration=100, disposal=1
    )
    animated = next(r for r in develop(source, RECIPE).renditions if r.animated)
    opened = Image.open(io.BytesIO(animated.data))
    opened.seek(1)
    shown = np.asarray(opened.convert("RGB"), dtype=float)
    assert shown[4, 4, 2] > 150
    assert shown[30, 30, 0] > 150


def test_develop_animation_with_orientation_is_upright() -> None:
    frames = [photos.as_stored(f, 6) for f in photos.moving_frames(3)]
    source = photos.saved(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=40, lossless=True,
        exif=photos.orientation_exif(6),
        icc_profile=icc_profiles.rgb_profile(icc_profiles.SRGB, icc_profiles.GAMMA_SRGB),
    )  # fmt: skip
    developed = develop(source, RECIPE)
    animated = next(r for r in developed.renditions if r.animated)
    assert (animated.width, animated.height) == (48, 32)
    opened = Image.open(io.BytesIO(animated.data))
    opened.seek(2)
    expected = np.asarray(photos.moving_frames(3)[2], dtype=float)
    assert np.abs(np.asarray(opened.convert("RGB"), dtype=float) - expected).mean() < 8


def test_develop_avif_recipe_gives_avif_renditions() -> None:
    recipe = Recipe(formats=(OutputFormat.AVIF,), avif_speed=10, avif_quality=90)
    developed = develop(photos.jpeg(), recipe)
    assert [r.format for r in developed.renditions] == [OutputFormat.AVIF] * 3
    scene = np.asarray(photos.scene(), dtype=float)
    assert np.abs(_pixels(developed.renditions[0]) - scene).mean() < 8


def _frame_markers(data: bytes) -> set[str]:
    """The kinds of JPEG frame in `data`: SOF0 is baseline, SOF2 progressive."""
    return {name for name, marker in FRAME_MARKERS.items() if marker in data}


def test_develop_default_recipe_gives_baseline_jpeg() -> None:
    for rendition in develop(photos.jpeg(), RECIPE).renditions:
        if rendition.format is OutputFormat.JPEG:
            assert _frame_markers(rendition.data) == {"baseline"}


def test_develop_jpeg_flavour_is_that_of_the_rendition() -> None:
    recipe = Recipe(
        formats=(OutputFormat.JPEG,),
        # The photo is smaller than both sizes: the files differ all the same.
        renditions=(
            RenditionSpec("quick", 2048, JpegFlavour.BASELINE),
            RenditionSpec("gradual", 2048, JpegFlavour.PROGRESSIVE),
            RenditionSpec("also-quick", 3000, JpegFlavour.BASELINE),
        ),
    )
    quick, gradual, also_quick = develop(photos.jpeg(), recipe).renditions
    assert _frame_markers(quick.data) == {"baseline"}
    assert _frame_markers(gradual.data) == {"progressive"}
    assert also_quick.data == quick.data
    assert np.array_equal(_pixels(quick), _pixels(gradual))


def test_develop_baseline_jpeg_has_huffman_tables_of_its_own() -> None:
    scene = photos.scene(600, 400)
    recipe = Recipe(formats=(OutputFormat.JPEG,), renditions=(RenditionSpec("only", 600),))
    optimised = develop(photos.saved(scene, "PNG"), recipe).renditions[0].data
    standard = io.BytesIO()
    scene.save(standard, "JPEG", quality=recipe.jpeg_quality, subsampling="4:2:0")
    assert len(optimised) < len(standard.getvalue())


def test_develop_large_photo_frees_decoded_picture_before_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[OpenedPhoto] = []

    def open_and_note(source: bytes, limits: Limits, deadline: Deadline) -> OpenedPhoto:
        opened.append(open_photo(source, limits, deadline))
        return opened[0]

    monkeypatch.setattr(pipeline, "open_photo", open_and_note)
    recipe = Recipe(renditions=(RenditionSpec("only", 50),))
    assert len(develop(photos.jpeg(), recipe).renditions) == 2
    with pytest.raises(ValueError, match="closed image"):
        opened[0].photo.file.getpixel((0, 0))


def test_release_keeps_the_number_of_plays() -> None:
    opened = open_photo(damaged_photos.valid_files()["moving.gif"], Limits(), Deadline(60))
    plays = opened.photo.plays
    opened.photo.release()
    assert opened.photo.plays == plays
