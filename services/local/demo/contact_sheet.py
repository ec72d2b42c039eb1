"""The results of a demo as a page for a browser, and as one PNG."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image, ImageDraw, ImageFont

from services.catalog.model import ImageRecord
from services.local.develop import Outcome
from services.local.mailbox import SentMail

_COLUMNS, _CELL, _GAP, _CAPTION = 4, 300, 20, 64
_PAPER, _INK, _MUTED, _WARNING = "#161514", "#efeae4", "#a39c93", "#e0a458"
_FRAME = "#24221f"


@dataclass(frozen=True)
class Sheet:
    """The results to show. The renditions of each record are in `folder/renditions/<image id>/`;
    print files and job sheets are below `folder`."""

    outcomes: tuple[Outcome, ...]
    mails: tuple[SentMail, ...]
    folder: Path
    timings: tuple[tuple[str, float], ...]
    prints: tuple[Path, ...] = ()

    @property
    def developed(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.developed)

    @property
    def rejected(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if not o.developed)


def write_html(sheet: Sheet, path: Path) -> None:
    """Writes the page. It needs no network and no file outside the sheet's folder."""
    environment = Environment(
        loader=PackageLoader("services.local.demo", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    template = environment.get_template("contact_sheet.html.jinja")
    path.write_text(template.render(_context(sheet)), encoding="utf-8", errors="replace")


def write_png(sheet: Sheet, path: Path) -> None:
    """Writes the contact sheet as a picture, each photo in a cell."""
    cells = sheet.outcomes
    rows = -(-len(cells) // _COLUMNS)
    width = _COLUMNS * (_CELL + _GAP) + _GAP
    height = rows * (_CELL + _CAPTION + _GAP) + _GAP
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(17), ImageFont.load_default(14)
    for number, outcome in enumerate(cells):
        left = _GAP + number % _COLUMNS * (_CELL + _GAP)
        top = _GAP + number // _COLUMNS * (_CELL + _CAPTION + _GAP)
        draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), fill=_FRAME)
        shown = _thumbnail(sheet, outcome)
        if shown is None:
            reason = outcome.document()["reason"] or ""
            draw.text((left + _CELL / 2, top + _CELL / 2), reason, _WARNING, font, anchor="mm")
        else:
            with Image.open(shown) as thumbnail:
                thumbnail.thumbnail((_CELL - 2 * _GAP, _CELL - 2 * _GAP))
                corner = (
                    left + (_CELL - thumbnail.width) // 2,
                    top + (_CELL - thumbnail.height) // 2,
                )
                picture.paste(thumbnail.convert("RGB"), corner)
        draw.text((left, top + _CELL + 8), _fitting(outcome.name, font), _INK, font)
        draw.text((left, top + _CELL + 32), _fitting(_caption(outcome), small), _MUTED, small)
    picture.save(path, optimize=True)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text` cut to the width of a cell."""
    if font.getlength(text) <= _CELL:
        return text
    while text and font.getlength(text + "…") > _CELL:
        text = text[:-1]
    return text + "…"


def _caption(outcome: Outcome) -> str:
    shown = outcome.document()
    if not outcome.developed:
        return f"rejected: {shown['reason']}"
    parts = (
        f"{shown['format']} {shown['width']} x {shown['height']}",
        shown["camera"] or "",
        f"{outcome.seconds:.2f} s",
    )
    return " · ".join(part for part in parts if part)


def _thumbnail(sheet: Sheet, outcome: Outcome) -> Path | None:
    if outcome.record is None:
        return None
    path = sheet.folder / "renditions" / outcome.record.image_id / "thumb.jpg"
    return path if path.exists() else None


def _context(sheet: Sheet) -> dict[str, Any]:
    """The template's variables."""
    files = [r for o in sheet.developed if o.record for r in o.record.renditions]
    return {
        "developed": [_photo(o, o.record) for o in sheet.developed if o.record],
        "rejected": [{"name": o.name, **_rejection(o)} for o in sheet.rejected],
        "renditions": len(files),
        "megabytes": f"{sum(r.bytes for r in files) / 1_000_000:.1f}",
        "prints": [_print(sheet, path) for path in sheet.prints],
        "mails": [{"subject": mail.subject, "html": _mail_html(mail)} for mail in sheet.mails],
        "timings": [(step, f"{seconds:.1f}") for step, seconds in sheet.timings],
    }


def _rejection(outcome: Outcome) -> dict[str, Any]:
    document = outcome.document()
    return {"reason": document["reason"], "message": document["message"]}


def _photo(outcome: Outcome, record: ImageRecord) -> dict[str, Any]:
    animated = (Path(r.key).name for r in record.renditions if r.animated)
    return {
        "name": outcome.name,
        "seconds": f"{outcome.seconds:.2f}",
        "colour": record.dominant_colour or _FRAME,
        "fingerprint": record.fingerprint or "",
        "folder": f"renditions/{record.image_id}",
        "shown": next(animated, "medium.jpg"),
        "files": [(Path(r.key).name, f"{r.name} {r.format}") for r in record.renditions],
        "facts": list(_facts(record)),
    }


def _print(sheet: Sheet, path: Path) -> dict[str, str]:
    """A print file or a job sheet, with a picture of it."""
    link = path.relative_to(sheet.folder).as_posix()
    if path.suffix == ".pdf":
        picture = _first_page(path).relative_to(sheet.folder).as_posix()
        return {"name": path.name, "link": link, "picture": picture, "facts": "PDF"}
    with Image.open(path) as opened:
        dpi = float(opened.info["dpi"][0])
        millimetres = " x ".join(f"{side / dpi * 25.4:.0f}" for side in opened.size)
        facts = (
            f"{opened.width} x {opened.height} pixels at {dpi:g} dpi: {millimetres} mm with bleed"
        )
    return {"name": path.name, "link": link, "picture": link, "facts": facts}


def _first_page(path: Path) -> Path:
    """Writes a picture of a PDF's first page beside it: not every browser shows a PDF in a page."""
    from pypdfium2 import PdfDocument

    with PdfDocument(path) as document:
        picture = document[0].render(scale=1).to_pil()
    picture.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def _facts(record: ImageRecord) -> Iterator[str]:
    facts = record.facts
    profile = f", {facts['colour_profile']}" if facts.get("colour_profile") else ""
    size = f"{facts['width']}×{facts['height']}, {facts['bytes'] / 1e6:.1f} MB"
    yield f"{facts['format']} {size}{profile}"
    camera = [str(part) for part in (facts.get("camera"), facts.get("lens")) if part]
    if camera:
        yield " · ".join(camera)
    exposure = [
        _exposure_time(facts["exposure_seconds"]) if facts.get("exposure_seconds") else "",
        f"f/{facts['aperture']:g}" if facts.get("aperture") else "",
        f"ISO {facts['iso']}" if facts.get("iso") else "",
        f"{facts['focal_length_mm']:g} mm" if facts.get("focal_length_mm") else "",
    ]
    if any(exposure):
        yield " · ".join(part for part in exposure if part)
    if facts.get("taken_at"):
        yield f"taken {facts['taken_at']}"


def _exposure_time(seconds: float) -> str:
    return f"1/{round(1 / seconds)} s" if seconds < 1 else f"{seconds:g} s"


def _mail_html(mail: SentMail) -> str:
    """The e-mail's page, with its thumbnail inside."""
    if mail.thumbnail is None:
        return mail.html
    picture = base64.b64encode(mail.thumbnail).decode()
    return mail.html.replace("cid:thumbnail@darkroom", f"data:image/jpeg;base64,{picture}")
