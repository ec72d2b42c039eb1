"""Puts the figures of results.json into README.md, and draws lab.svg.

python -m benchmarks.lab.report
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.lab.run import HERE, RESULTS

README = HERE / "README.md"
PLOT = HERE / "lab.svg"
_INK, _BEFORE, _NOW, _GOAL = "#777777", "#9db4c8", "#1f6f9f", "#b03a2e"


@dataclass(frozen=True)
class Measure:
    """A row of the table. `before` is the lab with a worker process for each queue function, as
    it was measured on a quiet machine; `goal` is for everything, `photos_goal` for photos alone."""

    name: str
    key: str
    digits: int
    before: float | None = None
    goal: float | None = None
    photos_goal: float | None = None


MEASURES = (
    Measure("seconds until ready", "ready_seconds", 1, None, 3.0, 1.5),
    Measure("CPU seconds to start", "start_cpu_seconds", 1, 19.0),
    Measure("processes besides Postgres", "processes", 0, 48, 12, 12),
    Measure("memory besides Postgres, MiB PSS", "pss_mib", 0, 1_740, 400, 400),
    Measure("memory of Postgres, MiB PSS", "postgres_pss_mib", 0),
    Measure("idle CPU, % of a core", "idle_cpu_percent", 1, None, 3.0, 3.0),
)


def least(results: dict[str, Any], variant: str, measure: Measure) -> float:
    """The least of all rounds: other work on the machine only adds."""
    return min(float(found[measure.key]) for found in results["rounds"][variant])


def _least(results: dict[str, Any], key: str) -> float:
    return min(float(found[key]) for found in results["environments"])


def shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def table(results: dict[str, Any]) -> str:
    lines = [
        "| | before | now | goal | `--only photos` | goal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for measure in MEASURES:
        cells = [shown(measure.before, measure.digits)]
        for variant, goal in (("everything", measure.goal), ("photos", measure.photos_goal)):
            value = round(least(results, variant, measure), measure.digits)
            missed = goal is not None and value > goal
            text = shown(value, measure.digits)
            cells += [f"**{text}**" if missed else text, shown(goal, measure.digits)]
        lines.append(f"| {measure.name} | {' | '.join(cells)} |")
    lines += [
        "\n| start of an environment | milliseconds | MiB of its own |",
        "|---|---:|---:|",
    ]
    for name, kind in (("forked from a template", "forked"), ("a process", "started")):
        milliseconds, mib = _least(results, f"{kind}_ms"), _least(results, f"{kind}_mib")
        lines.append(f"| {name} | {milliseconds:.0f} | {mib:.0f} |")
    machine = results["machine"]
    rounds = len(results["rounds"]["everything"])
    lines.append(
        f"\n{machine['date']}, Python {machine['python']}, {machine['cores']} cores, load average "
        f"{machine['load']:g}; the least of {rounds} rounds. Bold: the goal is missed."
    )
    return "\n".join(lines)


def draw(results: dict[str, Any]) -> None:
    """A panel for each measure, with its goal as a line."""
    mpl.rcParams["svg.hashsalt"] = "lab"
    drawn = [measure for measure in MEASURES if measure.before or measure.goal]
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    panels = figure.subplots(2, 3).flatten()
    for panel in panels[len(drawn) :]:
        panel.set_visible(False)
    for panel, measure in zip(panels, drawn, strict=False):
        bars = [("before", measure.before, _BEFORE)] if measure.before else []
        bars += [
            (label, least(results, variant, measure), _NOW)
            for label, variant in (("now", "everything"), ("photos", "photos"))
        ]
        names, values, colours = zip(*bars, strict=True)
        drawing = panel.bar(names, values, color=colours, width=0.6)
        labels = [shown(value, measure.digits) for value in values]
        panel.bar_label(drawing, labels, fontsize=9, color=_INK)
        if measure.goal is not None:
            panel.axhline(measure.goal, color=_GOAL, linestyle="--", linewidth=1, zorder=0)
        panel.set_title(measure.name, fontsize=10, color=_INK)
        panel.set_yticks([])
        panel.margins(y=0.15)
        panel.tick_params(colors=_INK, length=0)
        panel.patch.set_visible(False)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        panel.spines["bottom"].set_color(_INK)
    figure.patch.set_visible(False)
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- figures -->\n).*?(<!-- end -->)", re.DOTALL)
    text, count = marked.subn(lambda m: f"{m[1]}\n{table(results)}\n\n{m[2]}", text)
    if count != 1:
        raise SystemExit(f"README.md has {count} places for the table, expected 1")
    README.write_text(text, encoding="utf-8")
    draw(results)


if __name__ == "__main__":
    main()
