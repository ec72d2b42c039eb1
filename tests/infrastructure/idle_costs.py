"""Plans of the lab as on AWS, and the page of what it costs while idle.

    python -m tests.infrastructure.idle_costs     writes docs/reference/idle-costs.md

An emulator answers what a plan reads (account, zones); nothing is applied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.local import emulator as emulators
from services.local.emulator import free_port
from services.local.state import PROJECT
from services.operations.cost.idle import idle_bill, idle_page
from services.operations.cost.prices import read_prices
from services.runtime.processes import die_with_parent
from tests.infrastructure import terraform
from tests.infrastructure.environment import Cloud, manifests
from tests.infrastructure.terraform import Terraform

PAGE = PROJECT / "docs" / "reference" / "idle-costs.md"
ENVIRONMENTS = ("development", "production")
PHOTOS_ONLY: dict[str, Any] = {
    "features": ["photos"],
    "region": "eu-central-1",
    "operator_email": "operators@example.com",
    # As in terraform/examples/photos-only: dead-letters, age, errors and logged-errors remain.
    "omitted_alarms": [
        "canary", "cold-starts", "duration", "failed-events", "init", "photo-latency", "throttles",
    ],
}  # fmt: skip
WITHOUT_EMAILS = {**PHOTOS_ONLY, "omitted_functions": ["add-avif", "send-image-email"]}


@contextmanager
def planner(folder: Path) -> Iterator[Terraform]:
    """The lab's configuration, initialised, with an emulator for what a plan reads."""
    emulator = emulators.start(free_port(), folder / "emulator.log", None, die_with_parent)
    try:
        tree = terraform.copy(folder / "tree")
        images = terraform.images([item.name for item in manifests()])
        lab = Terraform(tree, "lab", {"image_digests": images}, Cloud(emulator.endpoint).variables)
        lab.init()
        yield lab
    finally:
        emulators.stop(emulator)


def plans(lab: Terraform) -> Iterator[tuple[str, dict[str, Any]]]:
    """The plans by the name of their form."""
    yield "photos only", lab.plan(**PHOTOS_ONLY)
    yield "photos only, without AVIF and e-mails", lab.plan(**WITHOUT_EMAILS)
    for environment in ENVIRONMENTS:
        yield environment, plan_of(lab, environment)


def plan_of(lab: Terraform, environment: str, **more: Any) -> dict[str, Any]:
    """The plan with the variables of an environment, and `more` instead of or beside them."""
    chosen = lab.folder / "chosen.auto.tfvars"
    file = lab.folder.parent / "environments" / f"{environment}.tfvars"
    chosen.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    try:
        return lab.plan(**more)
    finally:
        chosen.unlink()


def page(planned: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the page, from the plans by the name of their form."""
    prices = read_prices()
    return idle_page({name: idle_bill(plan, prices) for name, plan in planned.items()}, prices)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, planner(Path(folder)) as lab:
        PAGE.write_text(page(dict(plans(lab))), encoding="utf-8")


if __name__ == "__main__":
    main()
