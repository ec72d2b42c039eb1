"""Broken ICC profiles never cost a good photo, and never end in anything but a picture."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.imaging import icc
from services.imaging.develop import develop
from services.imaging.model import OutputFormat, Recipe
from tests.support import icc_profiles, photos

RECIPE = Recipe(formats=(OutputFormat.JPEG,))
PROFILES = (
    icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB),
    icc_profiles.rgb_profile(icc_profiles.ADOBE_RGB, icc_profiles.gamma_curve(2.2)),
    icc_profiles.grey_profile(1.8),
    icc_profiles.cmyk_profile(),
)
CHANGES = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(range(len(PROFILES))), CHANGES)
def test_a_damaged_profile_still_gives_renditions(
    which: int, changes: list[tuple[int, int]]
) -> None:
    profile = bytearray(PROFILES[which])
    for at, value in changes:
        profile[at % len(profile)] = value
    mode = ("RGB", "RGB", "L", "CMYK")[which]
    image = photos.scene(24, 16).convert(mode)
    developed = develop(photos.jpeg(image, icc_profile=bytes(profile)), RECIPE)
    assert len(developed.renditions) == 3


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    icc.read(bytes(36) + b"acsp" + data)
    icc.read(PROFILES[0][:132] + data)
