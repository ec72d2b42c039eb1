"""Puts any Unicode text on paper with the fonts at hand: which font shows which character, and
where a line ends.

ReportLab ships Bitstream Vera, which has the letters of western European languages and a few more.
What it lacks is shown, in this order,

- in the fonts that the caller adds;
- Chinese, Japanese and Korean in the fonts that every PDF viewer has for them (ISO 32000-1 9.7.5.2:
  predefined character maps). They are not in the file, so a viewer without them leaves gaps;
- without its accents (Polish and Vietnamese, say);
- in Latin letters (Greek, Cyrillic);
- by saying what is there: "[5 Arabic letters]", "[symbol]".

Scripts that are written from right to left are always described, as nothing here would put their
letters in order and join them; so are those, such as Thai, that no font has. What people go by is
the order's number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path

from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]

_ELLIPSIS = "…"
_SYMBOL = "symbol"
_RIGHT_TO_LEFT = frozenset(("R", "AL"))
# By the first word of a character's Unicode name. Han characters are taken for Chinese, unless one
# of the other scripts stands next to them: no font has all that the three write with.
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYSMyeongJo-Medium"
_ASIAN = {
    "CJK": _CHINESE, "IDEOGRAPHIC": _CHINESE, "FULLWIDTH": _CHINESE,
    "HIRAGANA": _JAPANESE, "KATAKANA": _JAPANESE, "KATAKANA-HIRAGANA": _JAPANESE,
    "HANGUL": _KOREAN,
}  # fmt: skip
# The predefined character maps know the Basic Multilingual Plane alone.
_LAST_OF_THE_BASIC_PLANE = 0xFFFF

# Each letter and what it is in Latin letters: Cyrillic as passports have it (ICAO Doc 9303-3,
# section 6 B), Greek by ELOT 743. Letters with accents are taken apart before.
_CYRILLIC = (
    "аa бb вv гg дd еe жzh зz иi кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch "
    "ъie ыy ь эe юiu яia іi єie ґg ђd јj љlj њnj ћc џdz ѕdz"
)
_GREEK = "αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs ςs τt υy φf χch ψps ωo"
_LATIN = {pair[0]: pair[1:] for pair in f"{_CYRILLIC} {_GREEK}".split()}


@dataclass(frozen=True)
class Run:
    """Neighbouring characters of one font."""

    font: str
    text: str


Line = tuple[Run, ...]


@dataclass(frozen=True)
class Typeface:
    """The fonts that one weight of text is set in, by their names in ReportLab, the first first."""

    names: tuple[str, ...]

    def shown(self, text: str) -> list[Run]:
        """`text` as it can be shown, one run for each character. Characters that do nothing but
        steer (line breaks, directions) become spaces or nothing."""
        clean = unicodedata.normalize("NFC", text)
        clean = " ".join("".join(_visible(c) for c in clean).split())
        runs: list[Run] = []
        for way, group in groupby(clean, key=self._way):
            characters = list(group)
            match way:
                case "shown":
                    runs += [self._in_a_font(c) for c in characters]
                case "asian":
                    font = _asian(_asian_font(characters))
                    runs += [Run(font, c) for c in characters]
                case "latin":
                    runs += [Run(self.names[0], c) for c in "".join(map(_in_latin, characters))]
                case _:
                    runs += [Run(self.names[0], c) for c in _described(way, characters)]
        return runs

    def _way(self, character: str) -> str:
        """How to show a character: "shown" as it is, "asian", in "latin" letters, or else what to
        say it is."""
        script = _script(character)
        is_letter = unicodedata.category(character)[0] in "LMN"
        if unicodedata.bidirectional(character) in _RIGHT_TO_LEFT:
            return script if is_letter else _SYMBOL
        if any(_has(name, character) for name in self.names):
            return "shown"
        if script in _ASIAN and ord(character) <= _LAST_OF_THE_BASIC_PLANE:
            return "asian"
        if _has(self.names[0], _in_latin(character)):
            return "latin"
        return script if is_letter else _SYMBOL

    def _in_a_font(self, character: str) -> Run:
        return Run(next(name for name in self.names if _has(name, character)), character)

    def width(self, line: Sequence[Run], size: float) -> float:
        """The width of `line` in points."""
        return sum(float(pdfmetrics.stringWidth(r.text, r.font, size)) for r in line)

    def wrapped(self, text: str, size: float, width: float, lines_max: int) -> tuple[Line, ...]:
        """`text` in lines of at most `width` points, broken at spaces and, where a word is too long
        for a line, within it. What does not fit into `lines_max` lines ends in an ellipsis."""
        rest = self.shown(text)
        lines: list[list[Run]] = []
        while rest and len(lines) < lines_max:
            fits = self._fitting(rest, size, width)
            if fits == len(rest):
                lines.append(rest)
                rest = []
            elif len(lines) == lines_max - 1:
                ellipsis = Run(self.names[0], _ELLIPSIS)
                fits = self._fitting(rest, size, width - self.width([ellipsis], size))
                while fits > 1 and rest[fits - 1].text == " ":
                    fits -= 1
                lines.append([*rest[:fits], ellipsis])
                rest = []
            else:
                spaces = [i for i in range(1, fits + 1) if rest[i].text == " "]
                end = spaces[-1] if spaces else fits
                lines.append(rest[:end])
                rest = rest[end + 1 :] if spaces else rest[end:]
        return tuple(_joined(line) for line in lines)

    def _fitting(self, runs: Sequence[Run], size: float, width: float) -> int:
        """How many of `runs` fit, and never none: else a line would never end."""
        total = 0.0
        for i, run in enumerate(runs):
            total += self.width([run], size)
            if total > width:
                return max(1, i)
        return len(runs)


@dataclass(frozen=True)
class Typefaces:
    """The two weights that a page is set in, with the caller's fonts behind both."""

    extra: tuple[Path, ...] = ()

    @cached_property
    def regular(self) -> Typeface:
        """For reading."""
        return Typeface((_vera("Vera"), *map(_registered, self.extra)))

    @cached_property
    def bold(self) -> Typeface:
        """For finding."""
        return Typeface((_vera("VeraBd"), *map(_registered, self.extra)))


@cache
def _vera(name: str) -> str:
    pdfmetrics.registerFont(TTFont(name, f"{name}.ttf", asciiReadable=True))
    return name


@cache
def _registered(path: Path) -> str:
    """The name of a caller's font. Each has one of its own, whatever the fonts call themselves."""
    name = f"Extra-{path.resolve()}"
    pdfmetrics.registerFont(TTFont(name, str(path)))
    return name


@cache
def _asian(name: str) -> str:
    pdfmetrics.registerFont(UnicodeCIDFont(name))
    return name


def _has(font: str, character: str) -> bool:
    face = pdfmetrics.getFont(font).face
    return all(ord(c) in getattr(face, "charToGlyph", ()) for c in character)


def _asian_font(characters: Sequence[str]) -> str:
    fonts = {_ASIAN[_script(c)] for c in characters}
    return next((font for font in (_KOREAN, _JAPANESE) if font in fonts), _CHINESE)


@cache
def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").split(" ")[0]


def _visible(character: str) -> str:
    """Nothing for what only steers, joins or varies, a space for what ends a line."""
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    is_variation = "\ufe00" <= character <= "\ufe0f"
    return "" if category in ("Cf", "Cs") or is_variation else character


def _in_latin(character: str) -> str:
    """A letter without its accents, and in Latin letters if it is Greek or Cyrillic."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)
    )
    latin = "".join(_LATIN.get(c.lower(), c) for c in plain)
    return latin.capitalize() if character.isupper() and latin != plain else latin


def _described(what: str, characters: Sequence[str]) -> str:
    if what == _SYMBOL:
        return "[symbol]" if len(characters) == 1 else f"[{len(characters)} symbols]"
    letters = [c for c in characters if not unicodedata.combining(c)]
    plural = "letter" if len(letters) == 1 else "letters"
    return f"[{len(letters)} {what.capitalize()} {plural}]"


def _joined(runs: Sequence[Run]) -> Line:
    return tuple(
        Run(font, "".join(run.text for run in group))
        for font, group in groupby(runs, key=lambda run: run.font)
    )
