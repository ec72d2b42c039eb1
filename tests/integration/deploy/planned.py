"""A lab whose plan is given, in place of Terraform's command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "lab"


def lambda_output(name: str, version: str) -> dict[str, Any]:
    """The output of a function on Lambda that has one live version."""
    return {"compute": "lambda", "name": name, "version": version, "live_version": version}


def worker_output(name: str, image: str) -> dict[str, Any]:
    """The output of a function that is a worker."""
    return {"compute": "worker", "name": name, "version": None, "image_uri": image}


@dataclass
class PlannedLab:
    """Functions by name, as in the lab's output, before the apply and after it, and the plan."""

    before: Mapping[str, Mapping[str, Any]]
    changes: list[dict[str, Any]]
    after: Mapping[str, Mapping[str, Any]] | None = None
    parameter: str = f"/{PREFIX}/release"
    environment: str = "test"
    applied: int = field(default=0)

    def outputs(self) -> dict[str, Any]:
        functions = self.after if self.applied and self.after is not None else self.before
        return {"functions": functions, "release": self.parameter}

    def plan(self, **_variables: Any) -> dict[str, Any] | None:
        return None if self.applied else {"resource_changes": self.changes}

    def apply(self) -> None:
        self.applied += 1
