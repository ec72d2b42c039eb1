"""Simulates bursts with the durations of results.json, puts the figures into README.md, and draws
burst.svg and workers.svg.

python -m benchmarks.scaling.report
"""

from __future__ import annotations

import json
import re
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.scaling.run import FUNCTION, HERE, RESULTS
from services.load_test.figures import Architecture, dollars
from services.load_test.scaling import Drained, Durations, Ramp, burst_seconds, simulate
from services.platform import manifest

README = HERE / "README.md"
MESSAGES = 1_000_000
MAXIMA = (20, 100, 500, 1250)
SEED = 20261127
_INK = "#777777"
_COLORS = ("#b03a2e", "#c98a2b", "#1f6f9f", "#2f7d4f")


def duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def burst_table(drained: dict[int, Drained], durations: Durations, memory_mib: int) -> str:
    lines = [
        "| maximum concurrency | drained after | fluid limit | mean wait | peak age | x86_64 "
        "| arm64 |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for maximum, found in drained.items():
        cost = {a: dollars(found.messages, found.billed_ms, memory_mib, a) for a in Architecture}
        limit = burst_seconds(MESSAGES, Ramp(maximum=maximum), durations.mean_seconds)
        lines.append(
            f"| {maximum:,} | {duration(found.seconds)} | {duration(limit)} "
            f"| {duration(found.mean_wait_seconds)} | {duration(found.peak_age_seconds)} "
            f"| ${cost[Architecture.X86]:.2f} | ${cost[Architecture.ARM]:.2f} |"
        )
    return "\n".join(lines)


def worker_table(results: dict[str, Any]) -> str:
    rates = results["photos_per_second"]
    one = rates["1"]
    return "\n".join(
        ["| environments | photos a second | of one |", "|---:|---:|---:|"]
        + [f"| {count} | {rate:.2f} | {rate / one:.2f} |" for count, rate in rates.items()]
    )


def panel(figure: Figure) -> Any:
    found = figure.subplots()
    found.patch.set_visible(False)
    found.tick_params(colors=_INK)
    for side in ("top", "right"):
        found.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        found.spines[side].set_color(_INK)
    figure.patch.set_visible(False)
    return found


def draw_burst(drained: dict[int, Drained]) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = panel(figure)
    for color, (maximum, found) in zip(_COLORS, drained.items(), strict=True):
        minutes = [at / 60 for at, _ in found.backlog]
        axes.plot(minutes, [n for _, n in found.backlog], color=color, label=f"{maximum:,} at once")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes since the burst", color=_INK)
    axes.set_ylabel("photos that wait", color=_INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False, labelcolor=_INK)
    figure.savefig(HERE / "burst.svg", metadata={"Date": None})


def draw_workers(results: dict[str, Any]) -> None:
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = panel(figure)
    rates = results["photos_per_second"]
    bars = axes.bar(list(rates), list(rates.values()), color=_COLORS[2], width=0.6)
    axes.bar_label(bars, fmt="%.1f", color=_INK)
    cores = results["machine"]["cores"]
    axes.axhline(cores * rates["1"], color=_COLORS[0], linestyle="--", linewidth=1)
    axes.set_xlabel("execution environments", color=_INK)
    axes.set_ylabel("photos a second", color=_INK)
    axes.set_title(f"Dashed: {cores} cores times one environment", fontsize=10, color=_INK)
    figure.savefig(HERE / "workers.svg", metadata={"Date": None})


def main() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    durations = Durations(results["warm_ms"], results["init_ms"])
    memory_mib = manifest.load(HERE.parent.parent / "images" / FUNCTION).memory_mib
    drained = {
        maximum: simulate([0.0] * MESSAGES, Ramp(maximum=maximum), durations, SEED)
        for maximum in MAXIMA
    }
    machine = results["machine"]
    measured = (
        f"Measured on {machine['date']}: {len(results['warm_ms'])} photos, mean "
        f"{durations.mean_seconds * 1000:.0f} ms; Python {machine['python']}, "
        f"{machine['cores']} cores, load average {machine['load']:g}."
    )
    blocks = {
        "burst": f"{burst_table(drained, durations, memory_mib)}\n\n{measured}",
        "workers": worker_table(results),
    }
    text = README.read_text(encoding="utf-8")
    for name, block in blocks.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        text, count = marked.subn(lambda m, block=block: f"{m[1]}\n{block}\n\n{m[2]}", text)
        if count != 1:
            raise SystemExit(f"README.md has {count} places for {name}, expected 1")
    README.write_text(text, encoding="utf-8")
    mpl.rcParams["svg.hashsalt"] = "scaling"
    draw_burst(drained)
    draw_workers(results)


if __name__ == "__main__":
    main()
