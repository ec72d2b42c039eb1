"""The plots are well-formed, stay inside their frame, and show every value."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from services.load_test import plots
from services.load_test.plots import Axes, Bars, Series

NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_line_fills_the_frame() -> None:
    drawn = parsed(
        plots.lines(Axes("s", "photos"), [Series("a", "s1", [(0, 0), (5, 5), (10, 10)])], "title")
    )
    (line,) = drawn.iter(f"{NAMESPACE}polyline")
    points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
    bottom = plots.HEIGHT - plots.BOTTOM
    assert points[0] == (plots.LEFT, bottom)
    assert points[-1] == (plots.WIDTH - plots.RIGHT, plots.TOP)
    assert points[1] == (
        (plots.LEFT + plots.WIDTH - plots.RIGHT) / 2,
        (plots.TOP + bottom) / 2,
    )


def test_bars_have_heights_of_their_values() -> None:
    drawn = parsed(plots.bars(Axes("s", "n"), [Bars("", "s1", 0, 1, [4, 0, 2])], "title"))
    columns = [r for r in drawn.iter(f"{NAMESPACE}rect") if r.attrib["class"].startswith("bar")]
    heights = [float(column.attrib["height"]) for column in columns]
    assert len(heights) == 2
    assert heights[0] == pytest.approx(2 * heights[1])


def test_plot_shows_marks_and_axis_labels() -> None:
    axes = Axes("seconds", "messages", [2.0, 4.0], "worker killed", rules=[(3.0, "p50 3 s")])
    drawn = parsed(plots.lines(axes, [Series("waiting", "s1", [(0, 1), (9, 2)])], "title"))
    marks = [e for e in drawn.iter(f"{NAMESPACE}line") if e.attrib["class"] == "kill"]
    texts = [e.text for e in drawn.iter(f"{NAMESPACE}text")]
    assert len(marks) == 2
    assert {"seconds", "messages ↑", "worker killed", "waiting", "p50 3 s"} <= set(texts)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(0.0, 0.0), (1e-9, 1e9)]])
def test_lines_of_extreme_values_are_valid_svg(points: list[tuple[float, float]]) -> None:
    text = plots.lines(Axes("<s>", "&"), [Series("a<b", "s1", points, filled=True)], '"t"')
    parsed(text)
    assert "nan" not in text
    assert "inf" not in text


def test_plots_with_same_end_have_same_scale() -> None:
    short = Series("a", "s1", [(0, 0), (5, 1)])
    drawn = parsed(plots.lines(Axes("s", "n", x_end=10), [short], "title"))
    (line,) = drawn.iter(f"{NAMESPACE}polyline")
    last = float(line.attrib["points"].split()[-1].split(",")[0])
    assert last == pytest.approx((plots.LEFT + plots.WIDTH - plots.RIGHT) / 2)


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
