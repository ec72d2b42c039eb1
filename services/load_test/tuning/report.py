"""A chart of the measured sizes, and a page with it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from services.load_test.tuning.choice import Choice, Figures

_DURATION, _PRICE = "#1e6fb3", "#b3541e"


def draw(function: str, sizes: Sequence[Figures], choice: Choice, path: Path) -> None:
    """Writes duration and price by memory size as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    memory = [size.memory_mib for size in sizes]
    axes.plot(memory, [size.warm_ms for size in sizes], "o-", color=_DURATION, label="warm, mean")
    axes.plot(memory, [size.p95_ms for size in sizes], "o:", color=_DURATION, label="warm, p95")
    axes.plot(memory, [size.cold_ms for size in sizes], "s--", color="#777", label="cold start")
    axes.set_xlabel("memory (MiB)")
    axes.set_ylabel("duration (ms)", color=_DURATION)
    axes.set_ylim(bottom=0)
    dollars = axes.twinx()
    dollars.plot(memory, [size.dollars for size in sizes], "^-", color=_PRICE)
    dollars.set_ylabel("USD a million invocations", color=_PRICE)
    dollars.set_ylim(bottom=0)
    axes.axvline(choice.figures.memory_mib, color="#2a2", linewidth=1)
    axes.set_title(f"{function}: {choice.figures.memory_mib} MiB recommended")
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=120)


def page(function: str, sizes: Sequence[Figures], choice: Choice, chart: Path) -> str:
    """An HTML page with the chart and a table; it needs no other file."""
    rows = "".join(
        f"<tr{' class=chosen' if size is choice.figures else ''}><td>{size.memory_mib}"
        f"<td>{size.warm_ms:.0f}<td>{size.p95_ms:.0f}<td>{size.cold_ms:.0f}"
        f"<td>{size.peak_mib:.0f}<td>{size.dollars:.2f}"
        f"<td>{'' if size.enough else 'too little memory' if not size.failures else 'failed'}</tr>"
        for size in sizes
    )
    picture = base64.b64encode(chart.read_bytes()).decode()
    return (
        "<!doctype html><meta charset=utf-8>"
        f"<title>Memory of {escape(function)}</title>"
        "<style>body{font:16px system-ui;max-width:52rem;margin:2rem auto}"
        "td,th{padding:.2rem .8rem;text-align:right}.chosen{background:#dfd}img{width:100%}</style>"
        f"<h1>Memory of {escape(function)}</h1>"
        f"<p><b>{choice.figures.memory_mib} MiB</b>: {escape(choice.reason)}.</p>"
        f"<img alt='duration and price by memory' src='data:image/png;base64,{picture}'>"
        "<table><tr><th>MiB<th>warm, ms<th>p95, ms<th>cold, ms<th>peak, MiB<th>USD a million<th>"
        f"</tr>{rows}</table>\n"
    )
