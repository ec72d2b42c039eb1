"""Plots as SVG text, drawn by hand: axes, lines, bars, marks. Colours come from the page's style
sheet, so that a plot is readable on light and on dark paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 20, 40
# Marks stand above the frame: many of them would hide what is in it.
MARK_PIXELS = 10
_TICKS = 5
_STEPS = (1, 2, 2.5, 5, 10)
_LABEL_PIXELS = 6.2  # a character's width, about, at the size of the legend


@dataclass(frozen=True)
class Series:
    """A line by its points (x, y). `style` is a class of the style sheet: s1, s2, ..."""

    label: str
    style: str
    points: Sequence[tuple[float, float]]
    filled: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Bars:
    """Columns over equal steps from `start`, each `step` wide; heights in `values`."""

    label: str
    style: str
    start: float
    step: float
    values: Sequence[float]


@dataclass(frozen=True)
class Axes:
    """What the axes say, units included. `marks` are moments on the x axis, which reaches at least
    to `x_end`: plots beneath each other can be compared."""

    x: str
    y: str
    marks: Sequence[float] = ()
    mark_label: str = ""
    rules: Sequence[tuple[float, str]] = ()
    """Upright lines with a label each, such as percentiles."""
    x_end: float = 0.0


def lines(axes: Axes, series: Sequence[Series], title: str) -> str:
    """A plot of lines over a common x axis from 0."""
    points = [point for one in series for point in one.points]
    frame = _Frame.around(points, axes)
    drawn = [_line(frame, one) for one in series]
    legend = [(one.label, one.style) for one in series]
    return _svg(frame, axes, drawn, legend, title)


def bars(axes: Axes, groups: Sequence[Bars], title: str) -> str:
    """A plot of columns; groups lie over each other, half transparent."""
    points = [
        (g.start + g.step * (i + 1), value) for g in groups for i, value in enumerate(g.values)
    ]
    frame = _Frame.around(points, axes)
    drawn = []
    for group in groups:
        for i, value in enumerate(group.values):
            if value:
                left = frame.x(group.start + group.step * i)
                right = frame.x(group.start + group.step * (i + 1))
                top = frame.y(value)
                drawn.append(
                    f'<rect class="bar {group.style}" x="{left + 0.5:.1f}" y="{top:.1f}" '
                    f'width="{max(0.8, right - left - 1):.1f}" '
                    f'height="{frame.y(0) - top:.1f}"/>'
                )
    legend = [(g.label, g.style) for g in groups]
    return _svg(frame, axes, drawn, legend, title)


def histogram(values: Sequence[float], columns: int = 40) -> tuple[float, list[float]]:
    """The step, and how many of `values` lie in each column from 0 on."""
    step = nice(max(values, default=0.0) / columns)
    counts = [0.0] * (int(max(values, default=0.0) / step) + 1)
    for value in values:
        counts[int(value / step)] += 1
    return step, counts


def nice(step: float) -> float:
    """The next round number that is not less than `step`: 1, 2, 2.5 or 5 times a power of ten."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(s for s in (power * factor for factor in _STEPS) if s >= step * (1 - 1e-9))


@dataclass(frozen=True)
class _Frame:
    """From values to pixels."""

    x_max: float
    y_max: float
    x_step: float
    y_step: float

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], axes: Axes) -> _Frame:
        across = [x for x, _ in points] + list(axes.marks) + [x for x, _ in axes.rules]
        x_max = max([*across, axes.x_end]) or 1.0
        y_step = nice(max((y for _, y in points), default=0.0) / _TICKS)
        up = max((y for _, y in points), default=0.0)
        return cls(x_max, max(y_step, math.ceil(up / y_step) * y_step), nice(x_max / 8), y_step)

    def x(self, value: float) -> float:
        return LEFT + value / self.x_max * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.y_max * (HEIGHT - TOP - BOTTOM)


def _line(frame: _Frame, series: Series) -> str:
    if not series.points:
        return ""
    if series.dots:
        return "".join(
            f'<circle class="dot {series.style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" '
            'r="2"/>'
            for x, y in series.points
        )
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in series.points)
    drawn = f'<polyline class="line {series.style}" points="{path}"/>'
    if series.filled:
        first, last = series.points[0][0], series.points[-1][0]
        floor = frame.y(0)
        area = f"{frame.x(first):.1f},{floor:.1f} {path} {frame.x(last):.1f},{floor:.1f}"
        drawn = f'<polygon class="area {series.style}" points="{area}"/>' + drawn
    return drawn


def _svg(
    frame: _Frame,
    axes: Axes,
    drawn: Sequence[str],
    legend: Sequence[tuple[str, str]],
    title: str,
) -> str:
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    parts += _grid(frame)
    parts += [
        f'<line class="kill" x1="{frame.x(mark):.1f}" x2="{frame.x(mark):.1f}" '
        f'y1="{TOP - MARK_PIXELS}" y2="{TOP}"/>'
        for mark in axes.marks
    ]
    parts += drawn
    parts += _rules(frame, axes)
    parts.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">'
        f"{escape(axes.x)}</text>"
    )
    parts.append(f'<text class="axis" x="{LEFT}" y="{HEIGHT - 6}">{escape(axes.y)} ↑</text>')
    parts += _legend(axes, legend)
    return "".join([*parts, "</svg>"])


def _grid(frame: _Frame) -> list[str]:
    parts = []
    for i in range(round(frame.y_max / frame.y_step) + 1):
        value = i * frame.y_step
        y = frame.y(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_number(value)}</text>"
        )
    for i in range(int(frame.x_max / frame.x_step + 1e-9) + 1):
        value = i * frame.x_step
        parts.append(
            f'<text class="tick" x="{frame.x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{_number(value)}</text>'
        )
    return parts


def _rules(frame: _Frame, axes: Axes) -> list[str]:
    parts = []
    for number, (value, label) in enumerate(sorted(axes.rules)):
        x, y = frame.x(value), TOP + 10 + 13 * number
        left = x > WIDTH - 130
        parts.append(
            f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick told" x="{x - 4 if left else x + 4:.1f}" y="{y}" '
            f'text-anchor="{"end" if left else "start"}">{escape(label)}</text>'
        )
    return parts


def _legend(axes: Axes, legend: Sequence[tuple[str, str]]) -> list[str]:
    """In the middle below the axis, where nothing is drawn."""
    entries = [(label, f"key {style}") for label, style in legend if label]
    if axes.marks and axes.mark_label:
        entries.append((axes.mark_label, "key killkey"))
    widths = [18 + len(label) * _LABEL_PIXELS for label, _ in entries]
    x = (WIDTH - sum(widths) - 14 * max(0, len(entries) - 1)) / 2
    parts = []
    for (label, style), width in zip(entries, widths, strict=True):
        parts.append(
            f'<rect class="{style}" x="{x:.0f}" y="{HEIGHT - 14}" width="11" height="8" rx="2"/>'
            f'<text class="tick" x="{x + 15:.0f}" y="{HEIGHT - 6}">{escape(label)}</text>'
        )
        x += width + 14
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def cumulative(moments: Sequence[float]) -> list[tuple[float, float]]:
    """How many of `moments` are past, as points of a line that begins at 0."""
    return [(0.0, 0.0), *((at, float(n)) for n, at in enumerate(sorted(moments), 1))]


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` of the points, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    kept = sorted({round(i * step) for i in range(most)})
    return [points[i] for i in kept]
