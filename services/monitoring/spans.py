"""Spans that functions exported by OTLP, as a tree on one time axis: text or a picture (SVG)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from services.monitoring.trace import bar, cut, duration_text

_NAME_COLUMNS = 40
_FIGURE_COLUMNS = 9
# Of the whole time; shorter spans below others are not in pictures.
_SHOWN_SHARE = 0.002
_ROW, _NAMES, _BARS, _FIGURES = 18, 330, 640, 90


@dataclass(frozen=True)
class TracedSpan:
    """One span. Times in seconds since the epoch; `depth` is its distance from the root."""

    service: str
    name: str
    trace_id: str
    id: str
    parent_id: str
    began: float
    ended: float
    error: str
    depth: int = 0

    @property
    def label(self) -> str:
        return "  " * self.depth + self.name

    @property
    def duration_ms(self) -> float:
        return (self.ended - self.began) * 1000


def read(exports: Iterable[str], trace_ids: frozenset[str]) -> tuple[TracedSpan, ...]:
    """The spans of these traces in OTLP's JSON, one export a line: each below its parent, those
    side by side in order of time. Lines that are no export are left out."""
    found: dict[str, TracedSpan] = {}
    for line in exports:
        try:
            for of_resource in json.loads(line)["resourceSpans"]:
                service = _service(of_resource)
                for scope in of_resource["scopeSpans"]:
                    for document in scope["spans"]:
                        if document["traceId"] in trace_ids:
                            found[document["spanId"]] = _span(service, document)
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(_ordered(found))


def _service(of_resource: Any) -> str:
    for attribute in of_resource["resource"]["attributes"]:
        if attribute["key"] == "service.name":
            return str(attribute["value"]["stringValue"])
    return ""


def _span(service: str, document: Any) -> TracedSpan:
    return TracedSpan(
        service=service,
        name=str(document["name"]),
        trace_id=str(document["traceId"]),
        id=str(document["spanId"]),
        parent_id=str(document.get("parentSpanId", "")),
        began=int(document["startTimeUnixNano"]) / 1e9,
        ended=int(document["endTimeUnixNano"]) / 1e9,
        error=str(document.get("status", {}).get("message", "")),
    )


def _ordered(found: dict[str, TracedSpan]) -> Iterable[TracedSpan]:
    children: dict[str, list[TracedSpan]] = {}
    for span in found.values():
        parent = span.parent_id if span.parent_id in found else ""
        children.setdefault(parent, []).append(span)
    waiting = [(span, 0) for span in sorted(children.get("", ()), key=lambda s: -s.began)]
    while waiting:
        span, depth = waiting.pop()
        yield TracedSpan(**{**span.__dict__, "depth": depth})
        below = sorted(children.get(span.id, ()), key=lambda s: -s.began)
        waiting += [(child, depth + 1) for child in below]


def waterfall(spans: Sequence[TracedSpan], columns: int) -> str:
    """The spans as bars, in lines of at most `columns`."""
    began, whole = _extent(spans)
    width = columns - _NAME_COLUMNS - _FIGURE_COLUMNS - 3
    lines = []
    for span in spans:
        mark = "✗" if span.error else " "
        start, end = ((at - began) / whole for at in (span.began, span.ended))
        label = "  " * span.depth + cut(span.name, _NAME_COLUMNS - 2 * span.depth)
        figure = duration_text(span.duration_ms)
        lines.append(
            f"{label:{_NAME_COLUMNS}} {mark}{bar(start, end, width)} {figure:>{_FIGURE_COLUMNS}}"
        )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def picture(spans: Sequence[TracedSpan], title: str) -> str:
    """The spans as an SVG, without very short ones; one colour for each function."""
    began, whole = _extent(spans)
    parents = {span.parent_id for span in spans}
    spans = [
        span
        for span in spans
        if span.id in parents or span.error or (span.ended - span.began) > whole * _SHOWN_SHARE
    ]
    services = list(dict.fromkeys(span.service for span in spans))
    width, height = _NAMES + _BARS + _FIGURES, 56 + _ROW * len(spans)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in range(5):
        x, at = _NAMES + _BARS * tick / 4, whole * 1000 * tick / 4
        parts.append(
            f'<line x1="{x:.0f}" y1="42" x2="{x:.0f}" y2="{height}" stroke="#ddd"/>'
            f'<text x="{x:.0f}" y="38" fill="#666">{duration_text(at)}</text>'
        )
    for number, span in enumerate(spans):
        y = 50 + _ROW * number
        hue = 360 * services.index(span.service) / len(services)
        x = _NAMES + _BARS * (span.began - began) / whole
        wide = max(1.5, _BARS * (span.ended - span.began) / whole)
        light = 45 if span.depth == 0 or span.name == span.service else 68
        parts.append(
            f'<text x="{8 + 12 * span.depth}" y="{y + 12}">{escape(cut(span.name, 46))}</text>'
            f'<rect x="{x:.1f}" y="{y + 2}" width="{wide:.1f}" height="{_ROW - 5}" rx="2" '
            f'fill="hsl({hue:.0f} 55% {light}%)"/>'
            f'<text x="{min(x + wide, _NAMES + _BARS) + 4:.1f}" y="{y + 12}" '
            f'fill="{"#b00" if span.error else "#666"}">{duration_text(span.duration_ms)}'
            f"{' ' + escape(span.error) if span.error else ''}</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _extent(spans: Sequence[TracedSpan]) -> tuple[float, float]:
    """Begin and length, in seconds."""
    began = min(span.began for span in spans)
    return began, max(max(span.ended for span in spans) - began, 0.001)
