"""Plots of the load report, drawn by Matplotlib as SVG text.

Colours are variables of the page's style sheet, so a plot is readable in light and in dark. Each
plot is drawn for two widths: text on a phone has the size that it has on a desk.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes as Plot
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

_STEPS = (1, 2, 2.5, 5, 10)
_POINTS_PER_INCH = 72
# Matplotlib draws with these; the page has variables of these names.
_VARIABLES = {
    "s1": "#010101",
    "s2": "#020202",
    "s3": "#030303",
    "kill": "#040404",
    "ink": "#050505",
    "soft": "#060606",
    "line": "#070707",
}


class Size(Enum):
    """A plot's width and height in CSS pixels, and the ticks of its x axis."""

    WIDE = (720, 260, 8)
    NARROW = (300, 230, 4)


@dataclass(frozen=True)
class Series:
    """A line by its points (x, y), or a dot for each. `colour` is a variable of the style sheet:
    s1, s2 or s3."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    filled: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Bars:
    """Columns over equal steps from 0, each `step` wide; heights in `values`."""

    colour: str
    step: float
    values: Sequence[float]


@dataclass(frozen=True)
class Axes:
    """The labels of the axes, units included. `marks` are moments on the x axis, which reaches at
    least to `x_end`: plots below each other can be compared. `rules` are upright lines with a
    label each, such as percentiles."""

    x: str
    y: str
    marks: Sequence[float] = ()
    mark_label: str = ""
    rules: Sequence[tuple[float, str]] = ()
    x_end: float = 0.0


def lines(axes: Axes, series: Sequence[Series], title: str) -> str:
    """A plot of lines over a common x axis from 0, as HTML with inline SVG."""
    return _html(title, lambda size: line_figure(axes, series, size))


def bars(axes: Axes, group: Bars, title: str) -> str:
    """A plot of columns, as HTML with inline SVG."""
    return _html(title, lambda size: bar_figure(axes, group, size))


def line_figure(axes: Axes, series: Sequence[Series], size: Size) -> Figure:
    """The Matplotlib figure of `lines`."""
    ends = [x for one in series for x, _ in one.points]
    top = max((y for one in series for _, y in one.points), default=0.0)
    figure, plot = _frame(axes, max([*ends, 0.0]), top, size)
    for one in series:
        x, y = [x for x, _ in one.points], [y for _, y in one.points]
        colour = _VARIABLES[one.colour]
        if one.dots:
            plot.plot(
                x, y, "o", color=colour, ms=4, mew=0, alpha=0.65, clip_on=False, label=one.label
            )
            continue
        plot.plot(x, y, color=colour, linewidth=2, clip_on=False, label=one.label)
        if one.filled:
            plot.fill_between(x, y, color=colour, alpha=0.18, linewidth=0, clip_on=False)
    _finish(figure, plot, axes)
    return figure


def bar_figure(axes: Axes, group: Bars, size: Size) -> Figure:
    """The Matplotlib figure of `bars`."""
    end = group.step * len(group.values)
    figure, plot = _frame(axes, end, max(group.values, default=0.0), size)
    plot.bar(
        [group.step * (number + 0.5) for number in range(len(group.values))],
        group.values,
        width=group.step * 0.92,
        color=_VARIABLES[group.colour],
        alpha=0.9,
        clip_on=False,
    )
    _finish(figure, plot, axes)
    return figure


def _settings() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "font.family": "sans-serif",
            "font.size": 11,
            # Text stays text: it can be searched, and the page's font is used.
            "svg.fonttype": "none",
            # The same run gives the same page.
            "svg.hashsalt": "darkroom",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
        }
    )


def _frame(axes: Axes, end: float, top: float, size: Size) -> tuple[Figure, Plot]:
    width, height, ticks = size.value
    with _settings():
        figure = Figure((width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), layout="constrained")
        plot = figure.add_subplot()
    figure.patch.set_visible(False)
    plot.patch.set_visible(False)
    plot.set_xlim(0, max([end, axes.x_end, *axes.marks, *(x for x, _ in axes.rules)]) or 1.0)
    plot.set_ylim(0, top or 1.0)
    soft = _VARIABLES["soft"]
    plot.spines["bottom"].set_color(_VARIABLES["line"])
    plot.tick_params(colors=soft, length=0)
    plot.xaxis.set_major_locator(MaxNLocator(ticks, steps=_STEPS))
    plot.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    plot.grid(axis="y", color=_VARIABLES["line"], clip_on=False)
    plot.set_axisbelow(True)
    plot.set_xlabel(axes.x, color=soft, loc="right")
    plot.set_title(axes.y, color=soft, loc="left", fontsize=11, pad=12)
    for number, (x, label) in enumerate(sorted(axes.rules)):
        plot.axvline(x, color=soft, linewidth=1, linestyle=(0, (3, 3)), zorder=3, clip_on=False)
        left = x > plot.get_xlim()[1] * (0.8 if size is Size.WIDE else 0.55)
        plot.annotate(
            label,
            (x, 1),
            xycoords=plot.get_xaxis_transform(),
            xytext=(-4 if left else 4, -6 - 14 * number),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            color=_VARIABLES["ink"],
        )
    return figure, plot


def _finish(figure: Figure, plot: Plot, axes: Axes) -> None:
    """Draws the marks, and the legend of everything that has a label."""
    if axes.marks:
        # Above the frame: many of them would hide what is in it.
        plot.plot(
            axes.marks,
            [1.04] * len(axes.marks),
            "|",
            transform=plot.get_xaxis_transform(),
            color=_VARIABLES["kill"],
            ms=9,
            mew=1.5,
            alpha=0.8,
            clip_on=False,
            label=axes.mark_label,
        )
    handles, labels = plot.get_legend_handles_labels()
    if any(labels):
        with _settings():
            figure.legend(
                handles,
                labels,
                loc="outside lower center",
                ncols=1 if figure.get_figwidth() * _POINTS_PER_INCH < 400 else 3,
                frameon=False,
                labelcolor=_VARIABLES["soft"],
            )


def _html(title: str, draw: Callable[[Size], Figure]) -> str:
    return "".join(
        f'<div class="{size.name.lower()}">{_svg(draw(size), title, size)}</div>' for size in Size
    )


def _svg(figure: Figure, title: str, size: Size) -> str:
    """The figure as an SVG element that fills its width and names no other file."""
    written = io.StringIO()
    with _settings():
        figure.savefig(written, format="svg", transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    width, height, _ = size.value
    text = re.sub(
        r"<svg[^>]*>",
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">',
        text,
        count=1,
    )
    for name, colour in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text


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
    chosen = sorted({round(i * step) for i in range(most)})
    return [points[i] for i in chosen]
