"""`darkroom cost`: what photos and orders cost on AWS, and what a planned lab costs while idle."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli.options import ExitCode, Json, RecipeName, number
from services.cli.output import print_json
from services.local.state import PROJECT
from services.local.terminal import page
from services.operations.cost.idle import IdleBill, idle_bill, idle_page
from services.operations.cost.prices import Item, Prices, read_prices
from services.operations.cost.usage import (
    Architecture,
    Comparison,
    Workload,
    bill,
    compare,
    read_workload,
)
from services.platform.errors import ConfigurationError, PermanentError
from services.platform.manifest import Feature, load_all, parse_features
from services.platform.yaml_reader import parse_yaml

COUNT_MAX = 1e12
DEVELOPER = "process-image"
# Of a worker's network: ecr.api, ecr.dkr and logs, in one zone.
WORKER_ENDPOINTS = 3


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(cost)


def cost(
    photos: Annotated[
        float,
        typer.Option(parser=number("photos a month", COUNT_MAX, zero=True), metavar="N"),
    ] = 0,
    orders: Annotated[
        float,
        typer.Option(parser=number("orders a month", COUNT_MAX, zero=True), metavar="N"),
    ] = 0,
    features: Annotated[
        str | None,
        typer.Option(help="Features of the lab, such as `photos`; all by default.", metavar="LIST"),
    ] = None,
    architecture: Annotated[
        Architecture, typer.Option(help="Processor of the functions.")
    ] = Architecture.X86,
    recipe: RecipeName = None,
    plan: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="The idle costs of a planned lab: what `terraform show -json PLAN` prints. May be "
            "repeated.",
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the plans' costs as a page in Markdown.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw where Lambda and Fargate cost the same (.svg)."),
    ] = None,
    json: Json = False,
) -> ExitCode:
    """Estimate the bill of a month from list prices, by service.

    Usage comes from requests of a photo and an order, measured durations and the manifests; idle
    costs come from a Terraform plan. Prices are of us-east-1, without tax and without the free
    tier of a new account; `services/operations/cost/prices.json` has their date and sources.
    """
    plans = plan or []
    if not photos and not orders and not plans and plot is None:
        raise typer.BadParameter("expected --photos, --orders, --plan or --plot")
    prices = read_prices()
    workload = read_workload(photos, orders)
    used = _usage(workload, prices, features, architecture, recipe) if photos or orders else []
    idle = {path.stem: idle_bill(_read_plan(path), prices) for path in plans}
    if markdown:
        page.out(idle_page(idle, prices), end="", highlight=False)
        return ExitCode.DONE
    comparison = _comparison(workload, prices)
    if plot is not None:
        from services.operations.cost.crossing_plot import draw

        draw(comparison, WORKER_ENDPOINTS * prices.hourly("endpoint_hour"), plot)
    if json:
        print_json(_document(prices, used, idle, comparison))
        return ExitCode.DONE
    if used:
        _show("Usage, a month", used)
        _show_comparison(comparison, photos)
        unmeasured = sorted(
            name
            for kind in ("functions", "routes")
            for name in workload.calls(kind)
            if name not in workload.durations_ms
        )
        if orders and unmeasured:
            page.print(
                f"Not measured, counted as {workload.unmeasured_ms:g} ms: {', '.join(unmeasured)}."
            )
    for name, found in idle.items():
        _show(f"{name}, idle, a month", found.items)
        if found.unpriced:
            page.print(f"[yellow]Without a price:[/] {', '.join(found.unpriced)}")
    page.print(f"List prices of {prices.region}, {prices.as_of}, US dollars.", style="dim")
    return ExitCode.DONE


def _usage(
    workload: Workload,
    prices: Prices,
    features: str | None,
    architecture: Architecture,
    recipe: str | None,
) -> list[Item]:
    chosen = frozenset(Feature) if features is None else _features(features)
    if workload.orders and Feature.ORDERS not in chosen:
        raise PermanentError(f"--orders needs the feature orders, got {features}")
    manifests = load_all(PROJECT / "images")
    return bill(workload, prices, manifests, _renditions(recipe), architecture, chosen)


def _features(text: str) -> frozenset[Feature]:
    try:
        return parse_features(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def _renditions(recipe: str | None) -> int:
    """Files of one photo by the recipe."""
    found = parse_yaml((PROJECT / "terraform" / "lab" / "recipes.yaml").read_text())
    name = recipe or "standard"
    if name not in found:
        raise PermanentError(f"--recipe must be one of {', '.join(sorted(found))}, got {name!r}")
    return len(found[name]["sizes"]) * len(found[name]["formats"])


def _comparison(workload: Workload, prices: Prices) -> Comparison:
    (function,) = [m for m in load_all(PROJECT / "images") if m.name == DEVELOPER]
    return compare(function, workload.duration_ms(DEVELOPER), prices)


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json_module.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PermanentError(f"{path} is no plan: {error}") from None
    if "planned_values" not in document:
        raise PermanentError(f"{path} is no plan: write what `terraform show -json PLAN` prints")
    return document


def _show(title: str, items: Sequence[Item]) -> None:
    table = Table("service", "what", title=title, title_justify="left", show_footer=True)
    total = sum(item.dollars for item in items)
    table.add_column("$", f"{total:,.2f}", justify="right")
    table.columns[0].footer = "together"
    for item in items:
        table.add_row(item.service, item.what, f"{item.dollars:,.2f}")
    page.print(table)


def _show_comparison(comparison: Comparison, photos: float) -> None:
    table = Table(
        "", "Lambda", "Fargate, one task", "the same at", title=comparison.function,
        title_justify="left",
    )  # fmt: skip
    for a in Architecture:
        crossing = comparison.crossing(a)
        table.add_row(
            a.value,
            f"${photos * comparison.call_dollars[a]:,.2f}",
            f"${comparison.task_dollars[a]:,.2f}",
            "never" if crossing is None else f"{crossing:,.0f} a month",
        )
    page.print(table)
    page.print(f"One task develops at most {comparison.capacity:,.0f} photos a month.")


def _document(
    prices: Prices,
    used: list[Item],
    idle: Mapping[str, IdleBill],
    comparison: Comparison,
) -> dict[str, Any]:
    return {
        "prices": {"as_of": prices.as_of, "region": prices.region},
        "usage": [asdict(item) for item in used],
        "idle": {name: asdict(found) for name, found in idle.items()},
        "comparison": {
            "function": comparison.function,
            "capacity": comparison.capacity,
            **{
                a.value: {
                    "lambda_call": comparison.call_dollars[a],
                    "fargate_task": comparison.task_dollars[a],
                    "crossing": comparison.crossing(a),
                }
                for a in Architecture
            },
        },
    }
