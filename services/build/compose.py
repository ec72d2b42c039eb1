"""Writes docker/compose.yaml from its template and the manifests.

python -m services.build.compose
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.catalog import recipes
from services.catalog.recipes import RecipeFile
from services.platform.manifest import WORKER_MIB, Feature, Reference, Resource, load_all
from services.platform.yaml_reader import parse_yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
TEMPLATE = "compose.yaml.jinja"
PREFIX = "darkroom"
_QUEUES = "http://localstack:4566/queue/us-east-1/000000000000"
_REGION_AND_ACCOUNT = "us-east-1:000000000000"
PAYMENTS_URL = "PAYMENTS_URL"


@dataclass(frozen=True)
class FunctionWorker:
    """One worker of the compose file. `cpus` and `memory` are Docker's limits."""

    name: str
    needs_database: bool
    cpus: str
    memory: str
    queue_url: str
    environment: Mapping[str, str]


def render(root: Path = ROOT) -> str:
    """The compose file's text for the functions of `root`. Raises ConfigurationError."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701  YAML, not HTML
        loader=FileSystemLoader(root / "docker"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(functions=_workers(root)).rstrip("\n") + "\n"


def _workers(root: Path) -> list[FunctionWorker]:
    senders = _senders(root)
    recipe_file = recipes.load(root / "terraform" / "lab" / "recipes.yaml")
    order = list(Feature)
    manifests = sorted(
        (m for m in load_all(root / "images") if m.queue is not None),
        key=lambda m: (order.index(m.feature), m.name),
    )
    return [
        FunctionWorker(
            name=m.name,
            needs_database=any(g.reference.resource is Resource.SECRET for g in m.grants),
            cpus=f"{m.cpus:.2f}",
            memory=f"{m.memory_mib + WORKER_MIB}M",
            queue_url=f"{_QUEUES}/{PREFIX}-{m.name}",
            environment={
                name: _value(name, value, senders, recipe_file)
                for name, value in m.environment.items()
            },
        )
        for m in manifests
    ]


def _senders(root: Path) -> Mapping[str, str]:
    topology = parse_yaml((root / "terraform" / "lab" / "topology.yaml").read_text())
    senders: Mapping[str, str] = topology["mail"]
    return senders


def _value(
    variable: str, value: str | Reference, senders: Mapping[str, str], recipe_file: RecipeFile
) -> str:
    """A variable's value in YAML: a resource as docker/provision.py names it."""
    if variable == PAYMENTS_URL:
        return "http://payment-provider:8090"
    if not isinstance(value, Reference):
        return value if value.replace("-", "").isalpha() else json.dumps(value)
    name = f"{PREFIX}-{value.name}"
    match value.resource:
        case Resource.TOPIC:
            return f"arn:aws:sns:{_REGION_AND_ACCOUNT}:{name}"
        case Resource.WORKFLOW:
            return f"arn:aws:states:{_REGION_AND_ACCOUNT}:stateMachine:{name}-workflow"
        case Resource.DATABASE:
            return "postgresql://darkroom@postgres:5432/darkroom?sslmode=disable"
        case Resource.MAIL:
            return senders[value.name]
        case Resource.RECIPES if value.name == "definitions":
            return json.dumps(recipe_file.text)
        case Resource.RECIPES:
            return "${RECIPE:-standard}"
        case _:
            return name


def main() -> int:
    COMPOSE.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
