"""The plots are well-formed, show every value, and take their colours from the page."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from services.load_test import plots
from services.load_test.plots import Axes, Bars, Series, Size

NAMESPACE = "{http://www.w3.org/2000/svg}"
EVERY_SIZE = pytest.mark.parametrize("size", list(Size), ids=lambda size: size.name.lower())


def only_plot(figure: Figure) -> Any:
    """The plot of a figure that has one. Matplotlib's own types are too wide to compare."""
    (plot,) = figure.axes
    return plot


def parsed(html: str) -> list[ElementTree.Element]:
    """The plots in `html`, one for each size."""
    return [*ElementTree.fromstring(f"<page>{html}</page>").iter(f"{NAMESPACE}svg")]


@EVERY_SIZE
def test_line_fills_the_frame(size: Size) -> None:
    series = [Series("a", "s1", [(0, 0), (5, 5), (10, 10)])]
    plot = only_plot(plots.line_figure(Axes("s", "photos"), series, size))
    (line,) = plot.lines
    assert (plot.get_xlim(), plot.get_ylim()) == ((0, 10), (0, 10))
    assert [tuple(point) for point in line.get_xydata()] == [(0, 0), (5, 5), (10, 10)]


@EVERY_SIZE
def test_bars_have_heights_of_their_values(size: Size) -> None:
    plot = only_plot(plots.bar_figure(Axes("s", "n"), Bars("s1", 0.5, [4, 0, 2]), size))
    heights = [bar.get_height() for bar in plot.patches]
    centers = [bar.get_x() + bar.get_width() / 2 for bar in plot.patches]
    assert heights == [4, 0, 2]
    assert centers == pytest.approx([0.25, 0.75, 1.25])


def test_plot_shows_marks_and_axis_labels_in_each_size() -> None:
    axes = Axes("seconds", "messages", [2.0, 4.0], "worker killed", rules=[(3.0, "p50 3 s")])
    for drawn in parsed(plots.lines(axes, [Series("waiting", "s1", [(0, 1), (9, 2)])], "title")):
        texts = {element.text for element in drawn.iter(f"{NAMESPACE}text")}
        assert {"seconds", "messages", "worker killed", "waiting", "p50 3 s"} <= texts
        assert drawn.attrib["aria-label"] == "title"


@EVERY_SIZE
def test_plot_marks_stand_above_the_frame(size: Size) -> None:
    axes = Axes("seconds", "messages", [2.0, 4.0], "worker killed")
    plot = only_plot(plots.line_figure(axes, [Series("waiting", "s1", [(0, 1), (9, 2)])], size))
    marks = next(line for line in plot.lines if line.get_label() == "worker killed")
    assert list(marks.get_xdata()) == [2.0, 4.0]
    assert min(marks.get_ydata()) > 1


def test_plot_has_only_colours_of_the_page() -> None:
    axes = Axes("s", "n", [1.0], "killed", rules=[(2.0, "p50")])
    series = [Series("a", "s1", [(0, 1), (9, 2)], filled=True), Series("b", "s3", [(1, 1)])]
    html = plots.lines(axes, series, "t") + plots.bars(axes, Bars("s2", 1, [1, 2]), "t")
    assert not re.search(r"(fill|stroke): *(#|rgb|black|white)", html)
    assert {"s1", "s2", "s3", "kill", "ink", "soft", "line"} == set(
        re.findall(r"var\(--(\w+)\)", html)
    )


@pytest.mark.parametrize("size", list(Size))
def test_plot_text_is_eleven_pixels_high_in_each_size(size: Size) -> None:
    html = plots.lines(Axes("s", "n"), [Series("a", "s1", [(0, 1), (9, 2)])], "t")
    drawn = next(
        d for d in parsed(html) if d.attrib["viewBox"] == f"0 0 {size.value[0]} {size.value[1]}"
    )
    texts = [element.attrib["style"] for element in drawn.iter(f"{NAMESPACE}text")]
    assert texts
    assert all("11px" in style for style in texts)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(0.0, 0.0), (1e-9, 1e9)]])
def test_lines_of_extreme_values_are_valid_svg(points: list[tuple[float, float]]) -> None:
    html = plots.lines(Axes("<s>", "&"), [Series("a<b", "s1", points, filled=True)], '"t"')
    assert len(parsed(html)) == len(Size)
    assert "nan" not in html
    assert "inf" not in html


@EVERY_SIZE
def test_plots_with_same_end_have_same_scale(size: Size) -> None:
    short = Series("a", "s1", [(0, 0), (5, 1)])
    plot = only_plot(plots.line_figure(Axes("s", "n", x_end=10), [short], size))
    assert plot.get_xlim() == (0, 10)


def test_plot_of_same_values_is_the_same_text() -> None:
    series = [Series("a", "s1", [(0, 0), (5, 1)])]
    first, second = (plots.lines(Axes("s", "n"), series, "t") for _ in range(2))
    assert first == second


def test_histogram_counts_every_value() -> None:
    values = [0.0, 0.1, 4.9, 5.0, 5.0]
    step, counts = plots.histogram(values, columns=5)
    assert step == 1
    assert counts == [2, 0, 0, 0, 1, 2]
    assert plots.histogram([]) == (1.0, [0.0])


@pytest.mark.parametrize(
    ("step", "expected"), [(0.9, 1), (1, 1), (1.1, 2), (2.1, 2.5), (26, 50), (0.03, 0.05), (0, 1)]
)
def test_nice_rounds_up_to_round_step(step: float, expected: float) -> None:
    assert plots.nice(step) == pytest.approx(expected)


def test_thinned_keeps_first_and_last_point() -> None:
    points = [(float(n), float(n)) for n in range(1000)]
    kept = plots.thinned(points, 11)
    assert len(kept) == 11
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert plots.thinned(points[:5], 11) == points[:5]
