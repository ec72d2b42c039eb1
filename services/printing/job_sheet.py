"""The sheet of paper that goes with an order through the lab: what to print, on what, how often.

    from services.printing.job_sheet import JobSheet, JobLine, make_job_sheet

A4, made to be read at arm's length and to be scanned: every page has the order's number as a QR
code, the first has it as Code 128 too, for scanners that read nothing else.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from PIL import Image
from reportlab.graphics.barcode.code128 import Code128  # type: ignore[import-untyped]
from reportlab.graphics.barcode.qr import QrCode  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from services.imaging.printing.geometry import size_in_cm
from services.printing.text import Line, Typeface, Typefaces

# Code 128 has ASCII alone, and needs 11 modules a character: more than this would no longer be
# readable across the page.
_NUMBER_CHARACTERS_MAX = 40

# ReportLab counts in points of 1/72 inch.
_MM = 72 / 25.4
_WIDTH, _HEIGHT = float(A4[0]), float(A4[1])
_MARGIN = 15 * _MM
_LEFT, _RIGHT = _MARGIN, _WIDTH - _MARGIN
_FOOT = 20 * _MM
_THUMB_WIDTH, _THUMB_HEIGHT = 33 * _MM, 26 * _MM
_TEXT_LEFT = _LEFT + _THUMB_WIDTH + 5 * _MM
_QUANTITY_WIDTH = 24 * _MM
_TEXT_WIDTH = _RIGHT - _QUANTITY_WIDTH - _TEXT_LEFT
_ROW_PADDING = 3.5 * _MM
_LEADING = 1.3  # line height in font sizes
_HEAD, _HEAD_LATER = 43 * _MM, 18 * _MM
_QR_EDGE, _QR_EDGE_LATER = 36 * _MM, 18 * _MM
# ISO/IEC 15417 leaves the module to the application; 0.19 mm is what desktop scanners still read.
_MODULE, _MODULE_MIN, _BAR_HEIGHT = 0.38 * _MM, 0.19 * _MM, 11 * _MM
_CODE_WIDTH = _RIGHT - _LEFT - _QR_EDGE - 6 * _MM
_BLACK, _GREY, _RULE = 0.0, 0.38, 0.75  # 0 is black, 1 is white

_THUMB_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class JobLine:
    """One print of an order. `width_mm` and `height_mm` are of the finished print, `thumbnail` is a
    small JPEG of the photo, `dpi` and `warning` are those of its print file."""

    thumbnail: bytes | None
    product: str
    width_mm: float
    height_mm: float
    paper: str
    quantity: int
    file_name: str
    dpi: float
    warning: str | None = None

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError(
                f"expected a quantity of at least 1, got {self.quantity}; "
                "leave out lines that are not to be printed"
            )

    @property
    def what(self) -> str:
        """What is counted together: the size and the paper."""
        return f"{size_in_cm(self.width_mm, self.height_mm)}, {self.paper}"


@dataclass(frozen=True)
class JobSheet:
    """An order as the lab needs to know it."""

    order_number: str
    ordered_on: date
    customer: str
    lines: tuple[JobLine, ...]

    def __post_init__(self) -> None:
        number = self.order_number
        if not (0 < len(number) <= _NUMBER_CHARACTERS_MAX and _is_plain(number)):
            raise ValueError(
                f"expected an order number of 1 to {_NUMBER_CHARACTERS_MAX} printable ASCII "
                f"characters, got {number!r}; bar codes hold no others"
            )
        if not self.lines:
            raise ValueError(
                f"expected at least one line in order {number}, got none; "
                "make no job sheet for an order without prints"
            )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


def make_job_sheet(sheet: JobSheet, fonts: Sequence[Path] = (), *, compress: bool = True) -> bytes:
    """The job sheet as a PDF. The same sheet and fonts give the same bytes.

    `fonts` are TrueType files for what ReportLab's own fonts lack (see `services.printing.text`);
    what is used of them goes into the file. Without `compress` the pages can be read as text.
    """
    page = _Page(sheet, Typefaces(tuple(fonts)))
    pages = _paginated(_blocks(page))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, pageCompression=int(compress), invariant=1)
    canvas.setTitle(f"Job sheet {sheet.order_number}")
    canvas.setCreator("Darkroom")
    for i, blocks in enumerate(pages):
        top = page.draw_head(canvas, is_first=i == 0)
        for block in blocks:
            block.draw(canvas, top)
            top -= block.height
        page.draw_foot(canvas, i + 1, len(pages))
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@dataclass(frozen=True)
class _Block:
    """A part of a page that is never split: its height in points, and how to draw it, given the
    canvas and the block's upper edge."""

    height: float
    draw: Callable[[Any, float], None]


def _blocks(page: _Page) -> list[_Block]:
    lines = page.sheet.lines
    totals = Counter[str]()
    for line in lines:
        totals[line.what] += line.quantity
    prints = sum(totals.values())
    rows = [page.row(i + 1, line) for i, line in enumerate(lines)]
    head = page.totals_head(f"{_counted(prints, 'print')} on {_counted(len(lines), 'line')}")
    first, *others = (page.total(what, count) for what, count in totals.items())
    return [*rows, _together(head, first), *others]


def _together(upper: _Block, lower: _Block) -> _Block:
    """One block of two, so that a heading is never the last thing on its page."""

    def draw(canvas: Any, top: float) -> None:
        upper.draw(canvas, top)
        lower.draw(canvas, top - upper.height)

    return _Block(upper.height + lower.height, draw)


def _paginated(blocks: Sequence[_Block]) -> list[list[_Block]]:
    pages: list[list[_Block]] = [[]]
    left = _room(is_first=True)
    for block in blocks:
        if block.height > left and pages[-1]:
            pages.append([])
            left = _room(is_first=False)
        pages[-1].append(block)
        left -= block.height
    return pages


def _room(*, is_first: bool) -> float:
    return _head_bottom(is_first=is_first) - _FOOT


def _head_bottom(*, is_first: bool) -> float:
    return _HEIGHT - _MARGIN - (_HEAD if is_first else _HEAD_LATER) - 4 * _MM


@dataclass(frozen=True)
class _Page:
    """How the parts of the sheet look."""

    sheet: JobSheet
    faces: Typefaces

    def draw_head(self, canvas: Any, *, is_first: bool) -> float:
        """Draws what stands above the lines and gives the upper edge of what comes next."""
        top, sheet = _HEIGHT - _MARGIN, self.sheet
        edge = _QR_EDGE if is_first else _QR_EDGE_LATER
        # The quiet zone of four modules is the page's white.
        code = QrCode(sheet.order_number, width=edge, height=edge, qrLevel="M", qrBorder=0)
        code.drawOn(canvas, _RIGHT - edge, top - edge)
        width = _RIGHT - edge - 6 * _MM - _LEFT
        size = 20 if is_first else 14
        y = self._text(canvas, _LEFT, top, "Job sheet", 8, width, grey=_GREY)
        y = self._text(canvas, _LEFT, y, sheet.order_number, size, width, bold=True)
        if is_first:
            y = self._text(canvas, _LEFT, y, sheet.ordered_on.isoformat(), 10, width)
            face = self.faces.regular
            _lines(canvas, _LEFT, y, face, 10, face.wrapped(sheet.customer, 10, width, 2), _BLACK)
            _bar_code(sheet.order_number).drawOn(canvas, _LEFT, top - _HEAD)
        bottom = _head_bottom(is_first=is_first)
        _rule(canvas, bottom, _GREY)
        return bottom

    def draw_foot(self, canvas: Any, number: int, count: int) -> None:
        """Draws the page's number, and whose page it is."""
        y = _FOOT - 5 * _MM
        whose = f"{self.sheet.order_number}, {self.sheet.customer}"
        self._text(canvas, _LEFT, y, whose, 8, _RIGHT - _LEFT - 30 * _MM, grey=_GREY)
        self._right(canvas, y, f"{number} of {count}", 8, grey=_GREY)

    def row(self, number: int, line: JobLine) -> _Block:
        """A line of the order."""
        regular, bold = self.faces.regular, self.faces.bold
        detail = f"{line.dpi:.0f} pixels an inch"
        parts = [
            (bold, 11, _BLACK, bold.wrapped(line.product, 11, _TEXT_WIDTH, 2)),
            (regular, 10, _BLACK, regular.wrapped(line.what, 10, _TEXT_WIDTH, 2)),
            (regular, 8, _GREY, regular.wrapped(line.file_name, 8, _TEXT_WIDTH, 2)),
            (regular, 8, _GREY, regular.wrapped(detail, 8, _TEXT_WIDTH, 1)),
        ]
        if line.warning:
            warning = bold.wrapped(f"Warning: {line.warning}", 8, _TEXT_WIDTH, 4)
            parts.append((bold, 8, _BLACK, warning))
        text_height = sum(len(lines) * size * _LEADING for _, size, _, lines in parts)
        height = max(_THUMB_HEIGHT, text_height) + 2 * _ROW_PADDING

        def draw(canvas: Any, top: float) -> None:
            inside = top - _ROW_PADDING
            if not _thumbnail(canvas, line.thumbnail, inside):
                y = inside - _THUMB_HEIGHT / 2
                self._text(canvas, _LEFT + 2 * _MM, y, "no picture", 8, _THUMB_WIDTH, grey=_GREY)
            y = inside
            for face, size, grey, lines in parts:
                y = _lines(canvas, _TEXT_LEFT, y, face, size, lines, grey)
            self._right(canvas, inside, f"{line.quantity} ×", 20, bold=True)
            self._right(canvas, inside - 9 * _MM, f"line {number}", 8, grey=_GREY)
            _rule(canvas, top - height, _RULE)

        return _Block(height, draw)

    def totals_head(self, text: str) -> _Block:
        """The sum of all lines."""

        def draw(canvas: Any, top: float) -> None:
            self._text(canvas, _LEFT, top - 5 * _MM, text, 12, _RIGHT - _LEFT, bold=True)

        return _Block(12 * _MM, draw)

    def total(self, what: str, count: int) -> _Block:
        """The sum of one kind of print."""
        width = _RIGHT - _LEFT - _QUANTITY_WIDTH

        def draw(canvas: Any, top: float) -> None:
            self._text(canvas, _LEFT, top, what, 10, width)
            self._right(canvas, top, f"{count} ×", 10, bold=True)

        return _Block(5.5 * _MM, draw)

    def _text(
        self, canvas: Any, x: float, top: float, text: str, size: float, width: float, *,
        bold: bool = False, grey: float = _BLACK,
    ) -> float:  # fmt: skip
        face = self.faces.bold if bold else self.faces.regular
        return _lines(canvas, x, top, face, size, face.wrapped(text, size, width, 1), grey)

    def _right(
        self, canvas: Any, top: float, text: str, size: float, *,
        bold: bool = False, grey: float = _BLACK,
    ) -> None:  # fmt: skip
        face = self.faces.bold if bold else self.faces.regular
        lines = face.wrapped(text, size, _QUANTITY_WIDTH * 2, 1)
        _lines(canvas, _RIGHT - face.width(lines[0], size), top, face, size, lines, grey)


def _lines(
    canvas: Any, x: float, top: float, face: Typeface, size: float, lines: Sequence[Line],
    grey: float,
) -> float:  # fmt: skip
    """Draws `lines` below `top` and gives the lower edge of the last."""
    canvas.setFillGray(grey)
    for line in lines:
        at = x
        for run in line:
            canvas.setFont(run.font, size)
            canvas.drawString(at, top - size, run.text)
            at += face.width([run], size)
        top -= size * _LEADING
    canvas.setFillGray(_BLACK)
    return top


def _rule(canvas: Any, y: float, grey: float) -> None:
    canvas.setStrokeGray(grey)
    canvas.setLineWidth(0.5)
    canvas.line(_LEFT, y, _RIGHT, y)


def _bar_code(number: str) -> Code128:
    """As wide as the page allows, up to a comfortable module."""
    modules = Code128(number, barWidth=1, quiet=False).width
    module = max(_MODULE_MIN, min(_MODULE, _CODE_WIDTH / modules))
    # The quiet zone is the page's white here, too.
    return Code128(number, barWidth=module, barHeight=_BAR_HEIGHT, quiet=False)


def _thumbnail(canvas: Any, data: bytes | None, top: float) -> bool:
    """Draws the picture in its frame, and says whether there is one. Where there is none, or none
    that can be read, the frame is empty: the sheet must not fail for it."""
    reader = _readable(data)
    canvas.setStrokeGray(_RULE)
    canvas.setLineWidth(0.5)
    if reader is None:
        canvas.rect(_LEFT, top - _THUMB_HEIGHT, _THUMB_WIDTH, _THUMB_HEIGHT)
        return False
    width, height = reader.getSize()
    scale = min(_THUMB_WIDTH / width, _THUMB_HEIGHT / height)
    width, height = width * scale, height * scale
    x, y = _LEFT + (_THUMB_WIDTH - width) / 2, top - height
    canvas.drawImage(reader, x, y, width, height)
    canvas.rect(x, y, width, height)
    return True


def _readable(data: bytes | None) -> ImageReader | None:
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.load()
    except _THUMB_ERRORS:
        return None
    return ImageReader(io.BytesIO(data))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
