"""A plot of one function's costs on Lambda and on Fargate, by calls a month."""

from __future__ import annotations

from pathlib import Path

from services.operations.cost.usage import Architecture, Comparison

POINTS = 200
COLOURS = {Architecture.X86: "#b3541e", Architecture.ARM: "#1e6fb3"}


def draw(comparison: Comparison, extra_dollars: float, path: Path) -> None:
    """Writes the plot; the ending of `path` chooses the format (svg, png, pdf). `extra_dollars`:
    what the network of workers costs a month, shown as a second line of each task."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    most = comparison.capacity
    for architecture in Architecture:
        colour = COLOURS[architecture]
        calls = [most * i / POINTS for i in range(POINTS + 1)]
        price = comparison.call_dollars[architecture]
        axes.plot(
            calls,
            [count * price for count in calls],
            color=colour,
            label=f"Lambda, {architecture.value}",
        )
        task = comparison.task_dollars[architecture]
        axes.axhline(task, color=colour, linestyle="--", label=f"Fargate, {architecture.value}")
        axes.axhline(task + extra_dollars, color=colour, linestyle=":")
        if (crossing := comparison.crossing(architecture)) is not None:
            axes.plot([crossing], [task], "o", color=colour)
            axes.annotate(
                f"{crossing:,.0f}",
                (crossing, task),
                textcoords="offset points",
                xytext=(6, -14),
                color=colour,
            )
    axes.set(
        xlim=(0, most),
        ylim=(0, None),
        xlabel=f"calls of {comparison.function} a month, up to what one task can do",
        ylabel="US dollars a month",
        title="One Fargate task that runs all month (dotted: with three interface endpoints)",
    )
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axes.legend(frameon=False)
    figure.savefig(path)
