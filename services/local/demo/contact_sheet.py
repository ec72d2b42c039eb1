"""Shows what a run of the lab made: a page for a browser, and the same as one PNG."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from services.catalog.model import ImageRecord
from services.local.develop import Outcome
from services.local.mailbox import SentMail

_COLUMNS, _CELL, _GAP, _CAPTION = 4, 300, 20, 64
_PAPER, _INK, _MUTED, _WARNING = "#161514", "#efeae4", "#a39c93", "#e0a458"
_FRAME = "#24221f"


@dataclass(frozen=True)
class Sheet:
    """What is shown. The renditions of each record lie in `folder/renditions/<image id>/`; print
    files and job sheets are below `folder`."""

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
    """Writes the page; it needs no network and nothing outside the sheet's folder."""
    path.write_text(_page(sheet), encoding="utf-8")


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


def _page(sheet: Sheet) -> str:
    cards = "\n".join(
        _card(outcome, outcome.record) for outcome in sheet.developed if outcome.record
    )
    refused = "\n".join(
        f"<li><b>{escape(o.name)}</b> <code>{escape(str(o.document()['reason']))}</code> "
        f"{escape(str(o.document()['message']))}</li>"
        for o in sheet.rejected
    )
    mails = "\n".join(map(_mail, sheet.mails))
    timings = "".join(
        f"<tr><td>{escape(what)}</td><td>{seconds:.1f} s</td></tr>"
        for what, seconds in sheet.timings
    )
    weight = sum(r.bytes for o in sheet.developed if o.record for r in o.record.renditions)
    count = sum(len(o.record.renditions) for o in sheet.developed if o.record)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Darkroom contact sheet</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: dark; }}
body {{ margin: 0; padding: 40px; background: {_PAPER}; color: {_INK};
  font: 15px/1.5 system-ui, sans-serif; }}
h1 {{ font: 600 30px Georgia, serif; margin: 0 0 4px; }}
h2 {{ font: 600 20px Georgia, serif; margin: 48px 0 16px; }}
p.sum, .facts {{ color: {_MUTED}; }}
.grid {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 24px; }}
figure {{ margin: 0; background: {_FRAME}; border-radius: 6px; overflow: hidden; }}
figure a {{ display: flex; height: 260px; align-items: center; justify-content: center;
  background: var(--colour); }}
figure img {{ max-width: 100%; max-height: 100%; }}
figcaption {{ padding: 12px 16px 16px; }}
.facts {{ font-size: 13px; }}
.facts code {{ font-size: 12px; }}
.swatch {{ display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  background: var(--colour); vertical-align: -1px; }}
code {{ color: {_WARNING}; }}
li {{ margin: 6px 0; }}
.mails {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); gap: 16px; }}
details {{ background: {_FRAME}; border-radius: 6px; padding: 10px 16px; }}
iframe {{ width: 100%; height: 420px; border: 0; margin-top: 10px; border-radius: 4px; }}
td {{ padding: 2px 24px 2px 0; }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>Contact sheet</h1>
<p class="sum">{len(sheet.developed)} photos developed into {count} renditions
({weight / 1_000_000:.1f} MB), {len(sheet.rejected)} rejected, {len(sheet.mails)} e-mails sent.</p>
<div class="grid">
{cards}
</div>
{_prints(sheet)}
{f"<h2>Rejected, and why</h2><ul>{refused}</ul>" if refused else ""}
<h2>E-mails</h2><div class="mails">
{mails}
</div>
<h2>Timings</h2><table>{timings}</table>
</body></html>
"""


def _card(outcome: Outcome, record: ImageRecord) -> str:
    folder = f"renditions/{record.image_id}"
    links = " ".join(
        f'<a href="{folder}/{Path(r.key).name}" style="all:unset;cursor:pointer;'
        f'text-decoration:underline">{escape(r.name)} {escape(r.format)}</a>'
        for r in record.renditions
    )
    shown = next(
        (Path(r.key).name for r in record.renditions if r.animated),
        "medium.jpg",
    )
    facts = "".join(f"<div>{line}</div>" for line in _facts(record))
    return (
        f'<figure style="--colour:{escape(record.dominant_colour or _FRAME)}">'
        f'<a href="{folder}/large.jpg"><img loading="lazy" src="{folder}/{shown}" '
        f'alt="{escape(outcome.name)}"></a>'
        f"<figcaption><b>{escape(outcome.name)}</b> "
        f'<span class="facts">{outcome.seconds:.2f} s</span>'
        f'<div class="facts">{facts}<div>{links}</div></div></figcaption></figure>'
    )


def _prints(sheet: Sheet) -> str:
    """What the printer gets: the files as they are, and the job sheets."""
    if not sheet.prints:
        return ""
    figures = []
    for path in sheet.prints:
        link = escape(path.relative_to(sheet.folder).as_posix())
        if path.suffix == ".pdf":
            picture = escape(_first_page(path).relative_to(sheet.folder).as_posix())
            shown, facts = f'<img loading="lazy" src="{picture}" alt="{escape(path.name)}">', "PDF"
        else:
            shown = f'<img loading="lazy" src="{link}" alt="{escape(path.name)}">'
            with Image.open(path) as opened:
                dpi = float(opened.info["dpi"][0])
                millimetres = " x ".join(f"{side / dpi * 25.4:.0f}" for side in opened.size)
                facts = (
                    f"{opened.width} x {opened.height} pixels at {dpi:g} dpi: "
                    f"{millimetres} mm with bleed"
                )
        figures.append(
            f'<figure style="--colour:{_FRAME}"><a href="{link}">{shown}</a>'
            f"<figcaption><b>{escape(path.name)}</b>"
            f'<div class="facts">{facts}</div></figcaption></figure>'
        )
    return f"<h2>An order's prints</h2><div class='grid'>{''.join(figures)}</div>"


def _first_page(path: Path) -> Path:
    """A picture of a PDF's first page, beside it: not every browser shows a PDF inside a page."""
    from pypdfium2 import PdfDocument

    with PdfDocument(path) as document:
        picture = document[0].render(scale=1).to_pil()
    picture.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def _facts(record: ImageRecord) -> Iterator[str]:
    facts = record.facts
    yield escape(
        f"{facts['format']} {facts['width']}×{facts['height']}, {facts['bytes'] / 1e6:.1f} MB"
        + (f", {facts['colour_profile']}" if facts.get("colour_profile") else "")
    )
    camera = [facts.get("camera"), facts.get("lens")]
    if any(camera):
        yield escape(" · ".join(part for part in camera if part))
    exposure = [
        _seconds(facts["exposure_seconds"]) if facts.get("exposure_seconds") else "",
        f"f/{facts['aperture']:g}" if facts.get("aperture") else "",
        f"ISO {facts['iso']}" if facts.get("iso") else "",
        f"{facts['focal_length_mm']:g} mm" if facts.get("focal_length_mm") else "",
    ]
    if any(exposure):
        yield escape(" · ".join(part for part in exposure if part))
    if facts.get("taken_at"):
        yield escape(f"taken {facts['taken_at']}")
    yield (
        f'<span class="swatch"></span> {escape(record.dominant_colour or "")} '
        f"<code>{escape(record.fingerprint or '')}</code>"
    )


def _seconds(exposure: float) -> str:
    return f"1/{round(1 / exposure)} s" if exposure < 1 else f"{exposure:g} s"


def _mail(mail: SentMail) -> str:
    html = mail.html
    if mail.thumbnail is not None:
        picture = base64.b64encode(mail.thumbnail).decode()
        html = html.replace("cid:thumbnail@darkroom", f"data:image/jpeg;base64,{picture}")
    return (
        f"<details><summary>{escape(mail.subject)}</summary>"
        f'<iframe sandbox loading="lazy" srcdoc="{escape(html)}"></iframe></details>'
    )
