"""The printer's colours. What is expected comes from the standards' formulas, not littleCMS."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from services.imaging import icc
from services.imaging.printing.model import Focus, PrintFormat, PrintSpec, RenderingIntent
from services.imaging.printing.print_file import make_print_file
from tests.support import icc_profiles, photos

# A print of five patches in a row: 80 x 20 mm are 1016 x 307 pixels with bleed.
WIDTH, HEIGHT, PATCH = 1016, 307, 203
COLOURS = ((200, 60, 50), (60, 170, 70), (50, 70, 190), (128, 128, 128), (235, 225, 215))
GREYS = tuple((v, v, v) for v in (0, 20, 70, 160, 255))
CENTRE = Focus(0.5, 0.5)
# JPEG moves a flat patch by a level or two; the test's profiles have 8 bits, too.
TOLERANCE = 4.0


def spec(**options: object) -> PrintSpec:
    return PrintSpec(80, 20, focus=CENTRE, **options)  # type: ignore[arg-type]


def patches(colours: Sequence[tuple[int, ...]], mode: str = "RGB") -> Image.Image:
    image = Image.new(
        mode, (WIDTH, HEIGHT), colours[-1] if len(colours[-1]) > 1 else colours[-1][0]
    )
    for i, colour in enumerate(colours):
        at = (i * PATCH, 0, (i + 1) * PATCH, HEIGHT)
        image.paste(colour if len(colour) > 1 else colour[0], at)
    return image


def printed_patches(source: bytes, order: PrintSpec, count: int = 5) -> np.ndarray:
    """The middle of each patch of the print, averaged."""
    image = Image.open(io.BytesIO(make_print_file(source, order).data))
    assert image.size == (WIDTH, HEIGHT)
    pixels = np.asarray(image, dtype=float)
    return np.stack(
        [pixels[100:200, i * PATCH + 60 : i * PATCH + 140].mean((0, 1)) for i in range(count)]
    )


def to_srgb(primaries: Sequence[tuple[float, float]], linear: np.ndarray) -> np.ndarray:
    matrix = np.linalg.inv(icc_profiles.rgb_to_xyz(icc_profiles.SRGB)) @ icc_profiles.rgb_to_xyz(
        primaries
    )
    return icc_profiles.srgb_encoded(linear @ matrix.T) * 255


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(found - expected).max() < TOLERANCE, (found.round(1), expected.round(1))


P3 = icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB, "Display P3")
ADOBE = icc_profiles.rgb_profile(icc_profiles.ADOBE_RGB, icc_profiles.gamma_curve(2.19921875))


@pytest.mark.parametrize("print_format", PrintFormat)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_display_p3_becomes_srgb(name: str, print_format: PrintFormat) -> None:
    build = {"HEIF": photos.heic, "AVIF": photos.avif}.get(name)
    options = {"quality": 98, "icc_profile": P3}
    image = patches(COLOURS)
    source = build(image, **options) if build else photos.saved(image, name, **options)
    expected = to_srgb(icc_profiles.P3, icc_profiles.srgb_decoded(np.array(COLOURS) / 255))
    assert np.abs(expected - np.array(COLOURS)).max() > 10  # else the test could not fail
    assert_close(printed_patches(source, spec(format=print_format)), expected)


def test_adobe_rgb_becomes_srgb() -> None:
    source = photos.jpeg(patches(COLOURS), quality=98, icc_profile=ADOBE)
    expected = to_srgb(icc_profiles.ADOBE_RGB, (np.array(COLOURS) / 255) ** 2.19921875)
    assert_close(printed_patches(source, spec()), expected)


@pytest.mark.parametrize("profile", [None, P3[:200], b"none", icc_profiles.grey_profile(1.0)])
def test_a_photo_without_a_usable_profile_is_srgb(profile: bytes | None) -> None:
    source = photos.jpeg(patches(COLOURS), quality=98, icc_profile=profile)
    assert_close(printed_patches(source, spec()), np.array(COLOURS, dtype=float))


def test_grey_is_printed_from_its_profile_and_as_rgb() -> None:
    levels = np.array([40, 90, 128, 180, 220])
    image = patches([(int(v),) for v in levels], "L")
    plain = printed_patches(photos.jpeg(image, quality=98), spec())
    assert_close(plain, np.repeat(levels[:, None], 3, axis=1))
    light = photos.jpeg(image, quality=98, icc_profile=icc_profiles.grey_profile(1.0))
    expected = icc_profiles.srgb_encoded(levels / 255) * 255
    assert_close(printed_patches(light, spec()), np.repeat(expected[:, None], 3, axis=1))


INKS = ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 1))


def test_cmyk_with_and_without_a_profile() -> None:
    image = patches([tuple(255 * ink for ink in inks) for inks in INKS], "CMYK")
    managed = photos.jpeg(image, quality=98, icc_profile=icc_profiles.cmyk_profile())
    expected = np.stack(
        [icc_profiles.lab_to_srgb(icc_profiles.cmyk_corner_lab(*inks)) for inks in INKS]
    )
    assert_close(printed_patches(managed, spec()), expected)
    plain = np.array([[255 * (1 - ink) * (1 - k) for ink in (c, m, y)] for c, m, y, k in INKS])
    assert_close(printed_patches(photos.jpeg(image, quality=98), spec()), plain)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = np.asarray(patches(COLOURS)).astype(np.uint16) * 257
    for source in (
        photos.png(deep, 16, photos.RGB),
        photos.tiff(deep, order="<"),
        photos.tiff(deep, order=">"),
    ):
        assert_close(printed_patches(source, spec()), np.array(COLOURS, dtype=float))
    grey = photos.png(deep[:, :, :1], 16, photos.GREY)
    expected = np.repeat(np.array(COLOURS)[:, :1], 3, axis=1)
    assert_close(printed_patches(grey, spec()), expected.astype(float))


def test_what_is_transparent_becomes_white() -> None:
    image = patches(COLOURS).convert("RGBA")
    opacity = Image.new("L", image.size, 255)
    opacity.paste(0, (0, 0, PATCH, HEIGHT))
    opacity.paste(128, (PATCH, 0, 2 * PATCH, HEIGHT))
    image.putalpha(opacity)
    expected = np.array(COLOURS, dtype=float)
    expected[0] = 255
    expected[1] = expected[1] * 128 / 255 + 255 * 127 / 255
    for source in (photos.saved(image, "PNG"), photos.saved(image, "WEBP", lossless=True)):
        assert_close(printed_patches(source, spec()), expected)


def test_the_file_carries_srgb_the_same_every_time() -> None:
    image = Image.open(io.BytesIO(make_print_file(photos.jpeg(patches(COLOURS)), spec()).data))
    profile = image.info["icc_profile"]
    read = icc.read(profile)
    assert read is not None
    assert read.is_srgb
    assert profile[24:36] == struct.pack(">6H", 2022, 5, 1, 0, 0, 0)


@pytest.mark.parametrize("intent", RenderingIntent)
@pytest.mark.parametrize("print_format", PrintFormat)
def test_a_printer_of_another_rgb(intent: RenderingIntent, print_format: PrintFormat) -> None:
    source = photos.jpeg(patches(COLOURS), quality=98)
    order = spec(profile=ADOBE, intent=intent, format=print_format)
    linear = icc_profiles.srgb_decoded(np.array(COLOURS) / 255)
    matrix = np.linalg.inv(
        icc_profiles.rgb_to_xyz(icc_profiles.ADOBE_RGB)
    ) @ icc_profiles.rgb_to_xyz(icc_profiles.SRGB)
    expected = (linear @ matrix.T).clip(0, 1) ** (1 / 2.19921875) * 255
    assert_close(printed_patches(source, order), expected)
    image = Image.open(io.BytesIO(make_print_file(source, order).data))
    assert image.info["icc_profile"] == ADOBE


def test_colours_outside_srgb_reach_a_printer_that_has_them() -> None:
    """By way of sRGB, P3's green would arrive as sRGB's."""
    source = photos.jpeg(patches(((0, 255, 0),) * 5), quality=98, icc_profile=P3)
    assert_close(printed_patches(source, spec(profile=P3)), np.array([[0.0, 255.0, 0.0]] * 5))


# --- presses --------------------------------------------------------------------------------------


def _press(inks: Callable[[float, float, float], Sequence[float]], black: float = 0.0) -> bytes:
    """A press whose inks are linear in Lab (each 0..1), with lightness `black` as its darkest.

    Linear, so that two nodes an axis say all and no interpolation has a say. Below its darkest the
    press can only print its darkest.
    """
    identity = struct.pack(">9i", *(65_536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = bytes(range(256))
    darkest = [
        min(255, max(0, round(255 * (i / 2.55 - black) / (100 - black)))) for i in range(256)
    ]
    nodes = bytes(
        round(255 * ink)
        for lightness in (0, 1)
        for a in (0, 1)
        for b in (0, 1)
        for ink in inks(lightness, a, b)
    )
    to_inks = (
        b"mft1\0\0\0\0" + bytes((3, 4, 2, 0)) + identity
        + bytes(darkest) + ramp * 2 + nodes + ramp * 4
    )  # fmt: skip
    # Neutral paper and one black ink: all that black point compensation asks about.
    seen = b"".join(
        bytes((round(2.55 * (100 - (100 - black) * (i & 1))), 128, 128)) for i in range(16)
    )
    to_lab = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + seen + ramp * 3
    tags = {b"A2B0": to_lab, b"B2A0": to_inks}
    tags |= {
        b"wtpt": icc_profiles._xyz_tag(icc_profiles._D50_XYZ),
        b"desc": icc_profiles._text_tag("a test's press"),
    }
    return icc_profiles._profile(b"CMYK", b"prtr", b"Lab ", tags)


def _lab(colours: Sequence[tuple[int, ...]]) -> np.ndarray:
    """CIELAB (D50) of sRGB colours, by the formulas of IEC 61966-2-1 and CIE 15."""
    linear = icc_profiles.srgb_decoded(np.array(colours) / 255)
    xyz = (
        linear
        @ (icc_profiles._to_d50() @ icc_profiles.rgb_to_xyz(icc_profiles.SRGB)).T
        / icc_profiles._D50_XYZ
    )
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = 116 * f[:, 1] - 16
    return np.stack([lightness, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("print_format", [PrintFormat.TIFF_LZW, PrintFormat.TIFF_DEFLATE])
def test_a_press_gets_its_inks(print_format: PrintFormat) -> None:
    profile = _press(lambda l, a, b: ((1 - a) / 2, a / 2, b / 2, 1 - l))  # noqa: E741
    order = spec(profile=profile, format=print_format, black_point_compensation=False)
    source = photos.jpeg(patches(COLOURS), quality=98)
    lightness, a, b = _lab(COLOURS).T
    a, b = (a + 128) / 255, (b + 128) / 255
    expected = 255 * np.stack([(1 - a) / 2, a / 2, b / 2, 1 - lightness / 100], axis=1)
    assert_close(printed_patches(source, order), expected)
    image = Image.open(io.BytesIO(make_print_file(source, order).data))
    assert image.mode == "CMYK"
    assert image.info["icc_profile"] == profile


# Which ink the press below takes for each intent, and how light its paper is for it.
PAPER = 0.8
INTENTS = {
    RenderingIntent.PERCEPTUAL: (0, 1.0),
    RenderingIntent.RELATIVE_COLORIMETRIC: (1, 1.0),
    RenderingIntent.SATURATION: (2, 1.0),
    # The table of the relative one, and white is not the paper's but white.
    RenderingIntent.ABSOLUTE_COLORIMETRIC: (1, PAPER),
}


def _press_of_intents() -> bytes:
    """A press with grey paper that prints lightness with another ink for each intent."""

    def to_inks(ink: int) -> bytes:
        plain = _press(lambda l, _a, _b: [(1 - l) * (i == ink) for i in range(4)])  # noqa: E741
        return _tag(plain, b"B2A0")

    tags = {b"B2A%d" % ink: to_inks(ink) for ink in range(3)}
    tags |= {b"A2B0": _tag(_press(lambda l, _a, _b: (0, 0, 0, 1 - l)), b"A2B0")}  # noqa: E741
    white = icc_profiles._xyz_tag(icc_profiles._D50_XYZ * PAPER)
    tags |= {b"wtpt": white, b"desc": icc_profiles._text_tag("a test's press of intents")}
    return icc_profiles._profile(b"CMYK", b"prtr", b"Lab ", tags)


def _tag(profile: bytes, name: bytes) -> bytes:
    """A tag's data (ICC.1:2022 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        found, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if found == name:
            return profile[offset : offset + size]
    raise AssertionError(f"no {name!r} in the profile")


@pytest.mark.parametrize("intent", RenderingIntent)
def test_the_intent_is_the_one_that_was_asked_for(intent: RenderingIntent) -> None:
    order = spec(
        profile=_press_of_intents(),
        intent=intent,
        format=PrintFormat.TIFF_LZW,
        black_point_compensation=False,
    )
    ink, white = INTENTS[intent]
    luminance = icc_profiles.srgb_decoded(np.array(GREYS) / 255)[:, 1] / white
    f = np.where(
        luminance > (6 / 29) ** 3, np.cbrt(luminance), luminance / (3 * (6 / 29) ** 2) + 4 / 29
    )
    expected = np.zeros((len(GREYS), 4))
    expected[:, ink] = 255 * (1 - (116 * f - 16) / 100).clip(0, 1)
    assert_close(printed_patches(photos.jpeg(patches(GREYS), quality=98), order), expected)


def test_black_point_compensation_keeps_the_shadows_apart() -> None:
    black = 20.0
    profile = _press(lambda l, _a, _b: (0, 0, 0, 1 - l), black)  # noqa: E741
    source = photos.jpeg(patches(GREYS), quality=98)
    lightness = _lab(GREYS)[:, 0]

    def inks(compensated: bool) -> np.ndarray:
        order = spec(
            profile=profile, format=PrintFormat.TIFF_LZW, black_point_compensation=compensated
        )
        return printed_patches(source, order)[:, 3]

    cut_off = 255 * (1 - ((lightness - black) / (100 - black)).clip(0, 1))
    assert_close(inks(False), cut_off)
    assert cut_off[0] == cut_off[1] == 255
    # ISO 18619: luminance is scaled between the two black points.
    f = (lightness + 16) / 116
    luminance = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    darkest = ((black + 16) / 116) ** 3
    scaled = 116 * np.cbrt(luminance * (1 - darkest) + darkest) - 16
    assert_close(inks(True), 255 * (1 - (scaled - black) / (100 - black)))


def test_an_output_profile_that_cannot_print_is_a_mistake() -> None:
    """It says how inks look, and not which inks to take for a colour."""
    order = spec(profile=icc_profiles.cmyk_profile(), format=PrintFormat.TIFF_LZW)
    with pytest.raises(ValueError, match="expected an output profile that can be printed with"):
        make_print_file(photos.jpeg(patches(COLOURS)), order)
