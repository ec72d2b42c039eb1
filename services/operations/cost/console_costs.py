"""Prices for the operator console, from the price file and the workload of `darkroom cost`.

    python -m services.operations.cost.console_costs    writes services/web/src/console/costs.json

The console multiplies measured calls and durations of functions, and counts of photos and orders,
with what is in this file. A test compares it with its sources.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.operations.cost.prices import Prices, read_prices
from services.operations.cost.usage import (
    STANDARD_RENDITIONS,
    Architecture,
    bill,
    read_workload,
)
from services.platform.checkout import PROJECT
from services.platform.manifest import Feature, Manifest, load_all

FILE = PROJECT / "services" / "web" / "src" / "console" / "costs.json"
# Functions are measured, so it is not estimated.
_LAMBDA = "Lambda"
_SIGNIFICANT = 6


def document() -> dict[str, Any]:
    """Dollars for a call, a GiB-second, a photo and an order (by service, without Lambda), and
    the memory of each function in MiB. Raises PermanentError for a file that cannot be read."""
    prices, manifests = read_prices(), load_all(PROJECT / "images")
    return {
        "as_of": prices.as_of,
        "region": prices.region,
        "request": prices.of("lambda_request"),
        "gib_second": prices.of(f"lambda_gib_second_{Architecture.X86.value}"),
        "memory_mib": {manifest.name: manifest.memory_mib for manifest in manifests},
        "photo": _by_service(1, 0, prices, manifests),
        "order": _by_service(0, 1, prices, manifests),
    }


def _by_service(
    photos: float, orders: float, prices: Prices, manifests: Sequence[Manifest]
) -> dict[str, float]:
    items = bill(
        read_workload(photos, orders), prices, manifests, STANDARD_RENDITIONS, Architecture.X86,
        frozenset(Feature),
    )  # fmt: skip
    total: dict[str, float] = {}
    for item in items:
        if item.service != _LAMBDA:
            total[item.service] = total.get(item.service, 0.0) + item.dollars
    return {name: float(f"{dollars:.{_SIGNIFICANT}g}") for name, dollars in sorted(total.items())}


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(), indent=1) + "\n", encoding="utf-8")
