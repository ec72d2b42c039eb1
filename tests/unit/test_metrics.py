"""Metrics that functions write, and those that Terraform's dashboard and alarms use."""

from __future__ import annotations

import re
from pathlib import Path

from services.platform.metrics import NAMESPACE, Metric

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "terraform" / "modules" / "observability"
ALARMS = (MODULE / "main.tf").read_text(encoding="utf-8")
DASHBOARD = (MODULE / "dashboard.tf").read_text(encoding="utf-8")
DEFINITIONS = {metric.value.name: metric.value for metric in Metric}


def _declared() -> dict[str, list[str]]:
    """`local.metrics` of the module: dimensions besides `function` by metric."""
    block = re.search(r"^  metrics = \{\n(.*?)^  \}", ALARMS, re.M | re.S)
    assert block
    lines = re.findall(r"^ +(\w+) += \[(.*)\]$", block[1], re.M)
    return {name: re.findall(r'"(\w+)"', dimensions) for name, dimensions in lines}


def test_terraform_declares_exactly_the_metrics_of_the_code() -> None:
    assert _declared() == {name: list(d.dimensions) for name, d in DEFINITIONS.items()}
    assert f'metric_namespace = "{NAMESPACE}"' in ALARMS


def test_dashboard_has_a_graph_of_every_metric() -> None:
    assert "for name in sort(keys(local.metrics))" in DASHBOARD
    units = re.search(r"metric_units += merge\(.*?, \{(.*?)\}\)", DASHBOARD)
    assert units
    known = {"Count": "count", "Milliseconds": "ms", "Bytes": "bytes", "Megabytes": "MiB"}
    assert dict(re.findall(r'(\w+) = "(\w+)"', units[1])) == {
        name: known[d.unit] for name, d in DEFINITIONS.items() if known[d.unit] != "count"
    }


def test_alarms_use_metrics_with_their_dimensions() -> None:
    """An alarm on a metric with other dimensions than the written ones never gets data."""
    plain = re.findall(
        r'namespace += local\.metric_namespace\n +metric += "(\w+)"\n +dimensions += \{(.*)\}',
        ALARMS,
    )
    quotients = re.findall(
        r'namespace = local\.metric_namespace, name = "(\w+)", dimensions = \{(.*?)\}', ALARMS
    )
    used = {name: tuple(re.findall(r"(\w+) =", text)) for name, text in [*plain, *quotients]}
    assert ALARMS.count("= local.metric_namespace") == len(used)
    assert used == {name: DEFINITIONS[name].all_dimensions for name in used}
    assert {"InitDuration", "ColdStarts", "UploadToDeveloped", "FailedEvents"} <= used.keys()
