"""Consoles for a terminal or a pipe. They print no control character that came in a value.

File names, product names and messages come from others. Printed raw, an escape sequence in one of
them could change the terminal, and a bidirectional control could show a text in another order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# C0 and C1 controls, bidirectional controls (Unicode Standard Annex 9), line and paragraph
# separators, and surrogates, which stand in file names for bytes that are no text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_EXCEPT_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with U+FFFD for each unsafe character; with `lines`, line breaks and tabs stay."""
    return (_UNSAFE_EXCEPT_LINES if lines else _UNSAFE).sub(_REPLACEMENT, text)


class SafeConsole(Console):
    """A console that replaces unsafe characters wherever they come from."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=visible(segment.text, lines=True))
