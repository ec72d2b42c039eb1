"""Sizes: never larger than the source, in proportion, every name there."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.imaging.develop import develop
from services.imaging.model import OutputFormat, Recipe, RenditionSpec
from services.imaging.scale import fit
from tests.support import photos

EDGES = st.integers(1, 20_000)


@settings(deadline=None)
@given(EDGES, EDGES, st.integers(1, 5_000))
def test_fit_never_enlarges_and_keeps_proportions(width: int, height: int, edge: int) -> None:
    w, h = fit((width, height), edge)
    assert 1 <= w <= width
    assert 1 <= h <= height
    if max(width, height) <= edge:
        assert (w, h) == (width, height)
    else:
        assert max(w, h) == edge
        scale = edge / max(width, height)
        assert abs(w - width * scale) <= 1
        assert abs(h - height * scale) <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.lists(st.integers(1, 500), min_size=1, max_size=4, unique=True),
)
def test_every_rendition_is_there_and_fits(width: int, height: int, edges: list[int]) -> None:
    recipe = Recipe(
        renditions=tuple(RenditionSpec(f"s{edge}", edge) for edge in edges),
        formats=(OutputFormat.JPEG,),
    )
    developed = develop(photos.jpeg(photos.scene(width, height)), recipe)
    assert [r.name for r in developed.renditions] == [s.name for s in recipe.renditions]
    for rendition, edge in zip(developed.renditions, edges, strict=True):
        assert (rendition.width, rendition.height) == fit((width, height), edge)


def test_sizes_that_the_source_does_not_reach_share_their_bytes() -> None:
    developed = develop(photos.jpeg(photos.scene(300, 200)))
    by_key = {(r.name, r.format): r for r in developed.renditions}
    for output in (OutputFormat.JPEG, OutputFormat.WEBP):
        assert by_key["medium", output].data == by_key["large", output].data
        assert (by_key["thumb", output].width, by_key["thumb", output].height) == (256, 171)


def test_decoding_smaller_still_covers_the_largest_rendition() -> None:
    # 1/2 of 520 is 260, which covers 256; 1/4 would be 130.
    developed = develop(
        photos.jpeg(photos.scene(520, 300)),
        Recipe(renditions=(RenditionSpec("only", 256),), formats=(OutputFormat.JPEG,)),
    )
    assert (developed.renditions[0].width, developed.renditions[0].height) == (256, 148)
    assert (developed.facts.width, developed.facts.height) == (520, 300)
