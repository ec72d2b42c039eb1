"""Puts the figures into README.md, as tables between its markers, and draws figures/ratios.svg.

python -m benchmarks.renditions.report
"""

from __future__ import annotations

import json
import re
import statistics
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.renditions.contestants import FORMS, HERE

README = HERE / "README.md"
FIGURES = HERE / "figures"
PLOT = FIGURES / "ratios.svg"
GOALS = {
    ("baseline", "jpeg"): 0.70,
    ("baseline", "jpeg+webp"): 0.80,
    ("progressive", "jpeg"): 0.80,
    ("progressive", "jpeg+webp"): 0.80,
}
MEMORY_GOAL = 0.45

Rows = list[dict[str, Any]]


def ratios(row: dict[str, Any]) -> list[float]:
    """Darkroom's CPU time over that of sharp's best form, by round."""
    pairs = zip(row["cpu_ms_by_round"], row["sharp_cpu_ms_by_round"], strict=True)
    return [ours / theirs for ours, theirs in pairs]


def mode_ratios(rows: Rows) -> list[float]:
    """The ratio of the sums over all photos, by round."""
    ours = zip(*(row["cpu_ms_by_round"] for row in rows), strict=True)
    theirs = zip(*(row["sharp_cpu_ms_by_round"] for row in rows), strict=True)
    return [sum(a) / sum(b) for a, b in zip(ours, theirs, strict=True)]


def spread(values: list[float]) -> str:
    """The median, and the least and the largest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def by_mode(rows: Rows) -> dict[tuple[str, str], Rows]:
    """The rows of each kind of source and set of formats."""
    modes: dict[tuple[str, str], Rows] = {}
    for row in rows:
        modes.setdefault((row["kind"], row["formats"]), []).append(row)
    return modes


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def goals_table(speed: dict[str, Any]) -> str:
    """One row for every mode, against the goals."""
    rows: list[list[str]] = []
    for (kind, formats), found in by_mode(speed["results"]).items():
        cpu, goal = mode_ratios(found), GOALS[kind, formats]
        photos = [statistics.median(ratios(row)) for row in found]
        memory = [row["memory_ratio"] for row in found]
        met = statistics.median(cpu) <= goal and statistics.median(memory) <= MEMORY_GOAL
        rows.append(
            [
                f"{kind}, {formats}",
                spread(cpu),
                f"{min(photos):.2f} to {max(photos):.2f}",
                f"{goal:.2f}",
                spread(memory),
                f"{MEMORY_GOAL:.2f}",
                "met" if met else "**not met**",
            ]
        )
    head = [
        "source, renditions",
        f"CPU (of {speed['rounds']} rounds)",
        "CPU, by photo",
        "goal",
        "memory",
        "goal",
        "",
    ]
    return table(head, rows)


def photos_table(speed: dict[str, Any]) -> str:
    """One row for every photo and mode."""
    names = [form.name for form in FORMS]
    rows: list[list[str]] = []
    for row in speed["results"]:
        cells = [
            f"{row['forms'][n]['cpu_ms']:.0f} / {row['forms'][n]['peak_mib']:.0f}" for n in names
        ]
        title = f"{row['photo']}, {row['kind']}, {row['formats']}"
        rows.append([title, *cells, spread(ratios(row)), f"{row['memory_ratio']:.2f}"])
    return table(["photo", *names, "CPU ratio", "memory ratio"], rows)


def quality_table(quality: Rows) -> str:
    """The medians over all photos, for every size and format."""
    groups: dict[tuple[str, str], Rows] = {}
    for row in quality:
        groups.setdefault((row["size"], row["format"]), []).append(row)
    programs = list(quality[0]["programs"])
    rows: list[list[str]] = []
    for (size, output), found in groups.items():
        for name in found[0]["programs"][programs[0]]:
            if name == "bytes":
                continue
            middle = [statistics.median(r["programs"][p][name] for r in found) for p in programs]
            digits = 4 if name == "ssim" else 2
            rows.append([f"{size} {output}, {name}", *(f"{value:.{digits}f}" for value in middle)])
    return table(["rendition, measure", *programs], rows)


def flavours_table(flavours: Rows) -> str:
    """Progressive over baseline: medians over all photos, for every size."""
    groups: dict[str, Rows] = {}
    for row in flavours:
        groups.setdefault(row["size"], []).append(row)
    rows: list[list[str]] = []
    for size, found in groups.items():

        def relative(name: str, found: Rows = found) -> list[float]:
            return [row["progressive"][name] / row["baseline"][name] for row in found]

        encode = [row["baseline"]["encode_ms"] for row in found]
        rows.append(
            [
                size,
                f"{statistics.median(encode):.1f}",
                spread(relative("encode_ms")),
                spread(relative("decode_ms")),
                spread(relative("bytes")),
            ]
        )
    head = ["size", "baseline, encode ms", "encode time", "decode time", "bytes"]
    return table(head, rows)


def draw(speed: dict[str, Any]) -> None:
    """Every photo's CPU ratio, with its spread, in one panel a mode."""
    mpl.rcParams["svg.hashsalt"] = "renditions"
    modes = by_mode(speed["results"])
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, len(modes), sharey=True)
    for panel, ((kind, formats), rows) in zip(panels, modes.items(), strict=True):
        for index, row in enumerate(rows):
            found = ratios(row)
            middle = statistics.median(found)
            panel.plot([min(found), max(found)], [index, index], color="#9db4c8", linewidth=3)
            panel.plot(middle, index, "o", color="#1f4e79")
        goal = GOALS[kind, formats]
        panel.axvline(goal, color="#b03a2e", linestyle="--", linewidth=1)
        panel.axvline(1, color="#888888", linewidth=1)
        panel.set_xlim(0.4, 1.1)
        panel.set_title(f"{kind}, {formats}\ngoal {goal:.2f}", fontsize=10)
        panel.set_yticks(range(len(rows)), [row["photo"] for row in rows], fontsize=8)
        panel.grid(axis="x", color="#eeeeee")
    panels[0].invert_yaxis()
    figure.supxlabel("CPU time of Darkroom over that of sharp's best form: median and range")
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    speed = json.loads((FIGURES / "speed.json").read_text(encoding="utf-8"))
    quality = json.loads((FIGURES / "quality.json").read_text(encoding="utf-8"))
    flavours = json.loads((FIGURES / "jpeg_flavours.json").read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    for name, content in {
        "goals": goals_table(speed),
        "photos": photos_table(speed),
        "quality": quality_table(quality),
        "flavours": flavours_table(flavours),
    }.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = marked.subn(lambda m, c=content: f"{m[1]}\n{c}\n\n{m[2]}", text)
        if count != 1:
            raise SystemExit(f"README.md has {count} places for the table of {name}, expected 1")
    README.write_text(text, encoding="utf-8")
    draw(speed)


if __name__ == "__main__":
    main()
