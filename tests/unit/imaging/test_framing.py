"""Renditions that cover a size, and sharpening."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageChops, ImageDraw

from services.imaging.develop import develop
from services.imaging.framing import frame
from services.imaging.model import (
    Cover,
    Focus,
    JpegFlavour,
    OutputFormat,
    Recipe,
    Rendition,
    RenditionSpec,
)
from services.imaging.sharpen import sharpen

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def spec(width: int, height: int, focus: Focus = Focus.CENTRE, name: str = "x") -> RenditionSpec:
    return RenditionSpec(
        name, max(width, height), JpegFlavour.BASELINE, Cover(width, height, focus)
    )


def recipe(*specs: RenditionSpec) -> Recipe:
    return Recipe(renditions=specs, formats=(OutputFormat.JPEG,), jpeg_quality=95)


def file(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def picture(rendition: Rendition) -> Image.Image:
    opened = Image.open(io.BytesIO(rendition.data))
    assert opened.size == (rendition.width, rendition.height)
    return opened.convert("RGB")


def thirds() -> Image.Image:
    """Red, green and blue from left to right, 300 x 100."""
    image = Image.new("RGB", (300, 100), GREEN)
    image.paste(RED, (0, 0, 100, 100))
    image.paste(BLUE, (200, 0, 300, 100))
    return image


def pixels(image: Image.Image) -> list[tuple[int, int, int]]:
    data = image.convert("RGB").tobytes()
    return [(data[i], data[i + 1], data[i + 2]) for i in range(0, len(data), 3)]


def is_near(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 40


@pytest.mark.parametrize(
    ("photo", "wanted", "scaled", "size"),
    [
        ((4000, 3000), (400, 400), (533, 400), (400, 400)),
        ((3000, 4000), (400, 400), (400, 533), (400, 400)),
        ((4000, 3000), (1600, 600), (1600, 1200), (1600, 600)),
        ((300, 200), (400, 400), (300, 200), (200, 200)),
        ((1000, 100), (400, 400), (1000, 100), (100, 100)),
        ((10, 5000), (256, 128), (10, 5000), (10, 5)),
        ((1, 1), (256, 64), (1, 1), (1, 1)),
        ((400, 400), (400, 400), (400, 400), (400, 400)),
    ],
)
def test_frame_covers_the_size_and_never_enlarges(
    photo: tuple[int, int],
    wanted: tuple[int, int],
    scaled: tuple[int, int],
    size: tuple[int, int],
) -> None:
    found = frame(photo, spec(*wanted))
    assert (found.scaled, found.size) == (scaled, size)


@pytest.mark.parametrize(
    ("focus", "colour"), [(Focus.LEFT, RED), (Focus.CENTRE, GREEN), (Focus.RIGHT, BLUE)]
)
def test_crop_keeps_its_focus_across(focus: Focus, colour: tuple[int, int, int]) -> None:
    (rendition,) = develop(file(thirds()), recipe(spec(50, 50, focus))).renditions
    assert is_near(picture(rendition).getpixel((25, 25)), colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("focus", "colour"), [(Focus.TOP, RED), (Focus.CENTRE, GREEN), (Focus.BOTTOM, BLUE)]
)
def test_crop_of_a_turned_photo_keeps_its_focus_as_seen(
    focus: Focus, colour: tuple[int, int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the left edge is to be seen at the top
    source = file(thirds(), "JPEG", exif=exif.tobytes(), quality=95)
    (rendition,) = develop(source, recipe(spec(50, 50, focus))).renditions
    assert is_near(picture(rendition).getpixel((25, 25)), colour)  # type: ignore[arg-type]


def test_crop_around_the_subject_contains_it() -> None:
    image = Image.new("RGB", (1200, 400), (120, 120, 120))
    draw = ImageDraw.Draw(image)
    for radius, colour in ((80, "red"), (50, "yellow"), (20, "black")):
        draw.ellipse((1000 - radius, 200 - radius, 1000 + radius, 200 + radius), fill=colour)
    (rendition,) = develop(file(image), recipe(spec(200, 200, Focus.SUBJECT))).renditions
    shown = picture(rendition)
    reds = [p for p in pixels(shown) if is_near(p, RED)]
    whole = 3.14 * (40**2 - 25**2)
    assert len(reds) > 0.8 * whole


def test_sizes_inside_and_covered_come_from_one_photo() -> None:
    specs = (
        spec(64, 64, name="tile"),
        RenditionSpec("small", 30),
        spec(120, 20, name="banner"),
        RenditionSpec("large", 200),
    )
    developed = develop(file(thirds()), recipe(*specs))
    sizes = {r.name: (r.width, r.height) for r in developed.renditions}
    assert sizes == {"tile": (64, 64), "small": (30, 10), "banner": (120, 20), "large": (200, 67)}
    assert [r.name for r in developed.renditions] == ["tile", "small", "banner", "large"]


def test_placeholder_shows_the_whole_photo_also_with_covered_sizes_only() -> None:
    whole = develop(file(thirds()), recipe(RenditionSpec("x", 192)))
    covered = develop(file(thirds()), recipe(spec(64, 64, Focus.LEFT)))
    assert covered.fingerprint == whole.fingerprint


def test_frames_of_an_animation_are_cut_at_the_same_place() -> None:
    frames = []
    for x in (20, 250):  # what stands out moves from left to right
        image = Image.new("RGB", (300, 100), (90, 90, 90))
        ImageDraw.Draw(image).rectangle((x, 30, x + 30, 60), fill="red")
        frames.append(image)
    source = file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    wanted = replace(recipe(spec(50, 50, Focus.SUBJECT)), formats=(OutputFormat.WEBP,))
    (rendition,) = develop(source, wanted).renditions
    assert rendition.animated
    with Image.open(io.BytesIO(rendition.data)) as shown:
        assert shown.size == (50, 50)
        assert getattr(shown, "n_frames", 1) == 2
        first = shown.convert("RGB")
        shown.seek(1)
        second = shown.convert("RGB")
    assert max(r for r, _, _ in pixels(first)) > 200
    assert max(r for r, _, _ in pixels(second)) < 150


def edge() -> Image.Image:
    image = Image.new("RGB", (64, 64), (80, 80, 80))
    image.paste((170, 170, 170), (32, 0, 64, 64))
    return image.resize((48, 48), Image.Resampling.BILINEAR)


def test_sharpening_makes_edges_steeper_and_leaves_flat_parts_alone() -> None:
    before = edge()
    after = sharpen(before, 100)
    assert sharpen(before, 0) is before
    (dark, *_), (bright, *_) = pixels(before.crop((23, 20, 25, 21)))
    (darker, *_), (brighter, *_) = pixels(after.crop((23, 20, 25, 21)))
    assert darker < dark
    assert brighter > bright
    flat = (0, 0, 16, 48)
    assert ImageChops.difference(before.crop(flat), after.crop(flat)).getbbox() is None


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sharpening_keeps_mode_and_transparency(mode: str) -> None:
    image = edge().convert(mode)
    if mode == "RGBA":
        image.putalpha(edge().convert("L"))
    after = sharpen(image, 100)
    assert after.mode == mode
    if mode == "RGBA":
        assert after.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_sharpened_rendition_differs_only_where_the_recipe_asks_for_it() -> None:
    source = file(edge().resize((200, 200)))
    plain, sharp = RenditionSpec("plain", 100), RenditionSpec("sharp", 100, sharpening_percent=150)
    developed = develop(source, recipe(plain, sharp))
    alone = develop(source, recipe(plain))
    files = {r.name: r.data for r in developed.renditions}
    assert files["plain"] == alone.renditions[0].data
    assert files["sharp"] != files["plain"]
