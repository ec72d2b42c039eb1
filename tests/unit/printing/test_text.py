"""Text layout: fonts, line breaks and maximum widths."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.printing.text import Line, Typefaces, _has

REGULAR = Typefaces().regular
# A font that a caller may add.
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def shown(text: str) -> str:
    return "".join(run.text for run in REGULAR.shown(text))


def plain(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(run.text for run in line) for line in lines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zoë Müller-Łukasiewicz", "Zoë Müller-Łukasiewicz"),
        ("Zoe\u0308", "Zoë"),
        ("zażółć gęślą jaźń", "zazółć gesla jazn"),
        ("Nguyễn Văn Đức", "Nguyen Van Đuc"),
        ("Ștefan Țepeș", "Stefan Tepes"),
        ("Иван Щукин", "Ivan Shchukin"),
        ("Їжак", "Izhak"),
        ("Γιώργος Θεοδωράκης", "Giorgos Theodorakis"),
        ("محمد", "[4 Arabic letters]"),
        ("שרה", "[3 Hebrew letters]"),
        ("สมชาย", "[5 Thai letters]"),
        ("hi 🎉", "hi [symbol]"),
        ("👩\u200d🚀", "[2 symbols]"),
        ("a\nb\tc\u2028d\x00e", "a b c d e"),
        ("ev\u202eil\u202c", "evil"),
        ("  spaces \u3000 ", "spaces"),
        ("\ud800", ""),
        ("ﬁne ½", "ﬁne ½"),
        ("", ""),
    ],
)
def test_text_is_normalized(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "font"),
    [
        ("陈伟", "STSong-Light"),
        ("山田太郎", "STSong-Light"),
        ("山田カメラ", "HeiseiKakuGo-W5"),
        ("金철수", "HYSMyeongJo-Medium"),
    ],
)
def test_text_cjk_uses_a_font_of_the_viewer(text: str, font: str) -> None:
    runs = REGULAR.shown(f"A {text} B")
    assert "".join(run.text for run in runs) == f"A {text} B"
    assert {run.font for run in runs if run.text in text} == {font}


def test_text_each_name_uses_the_font_of_its_script() -> None:
    fonts = {run.text: run.font for run in REGULAR.shown("陈, 철, ロ")}
    assert [fonts[c] for c in "陈철ロ"] == ["STSong-Light", "HYSMyeongJo-Medium", "HeiseiKakuGo-W5"]


def _added_font() -> Path:
    if DEJAVU.exists():
        return DEJAVU
    pytest.skip(f"needs a font with more letters: {DEJAVU}")


def test_text_added_font_covers_missing_characters() -> None:
    face = Typefaces((_added_font(),)).regular
    text = "zażółć Иван Γιώργος Nguyễn"
    runs = face.shown(text)
    assert "".join(run.text for run in runs) == text
    assert {run.font for run in runs if run.text in "zól "} == {"Vera"}
    assert {run.font for run in runs if run.text in "żИΓ"} != {"Vera"}
    # The font has the letters, but the layout neither reorders nor joins them.
    assert "".join(run.text for run in face.shown("محمد")) == "[4 Arabic letters]"


def test_text_missing_font_is_named() -> None:
    with pytest.raises(Exception, match=r"missing\.ttf"):
        Typefaces((Path("missing.ttf"),)).regular.shown("x")


def test_text_breaks_at_spaces() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    lines = REGULAR.wrapped(text, 10, 80, 9)
    assert len(lines) > 2
    assert " ".join(plain(lines)) == text


def test_text_long_word_is_broken() -> None:
    text = "x" * 200
    lines = REGULAR.wrapped(text, 10, 80, 99)
    assert "".join(plain(lines)) == text


def test_text_overflow_ends_in_an_ellipsis() -> None:
    lines = plain(REGULAR.wrapped("the quick brown fox jumps over the lazy dog", 10, 80, 2))
    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert not lines[1].endswith(" …")
    assert plain(REGULAR.wrapped("short", 10, 80, 1)) == ["short"]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=120), st.integers(1, 4), st.floats(30, 300))
def test_text_any_input_fits(text: str, lines_max: int, width: float) -> None:
    lines = REGULAR.wrapped(text, 9, width, lines_max)
    assert len(lines) <= lines_max
    for line in lines:
        assert REGULAR.width(line, 9) <= width
        for run in line:
            # No character without a glyph.
            assert run.font != "Vera" or all(_has("Vera", c) for c in run.text)
