"""A lab on AWS, as `terraform -chdir=terraform/lab output -json` prints it; or a module that passes
those outputs on as its output `lab`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.monitoring.lab import Queue
from services.platform.aws import clients
from services.platform.errors import ConfigurationError

VARIABLE = "DARKROOM_OUTPUTS"


@dataclass(frozen=True)
class Deployed:
    """What was made, by logical name. Its clients use the region and credentials of the shell."""

    region: str
    api: str | None
    queues: Mapping[str, Queue]
    buckets: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The environment variables of each function."""
    log_groups: tuple[str, ...] = ()
    """Names of the functions' log groups."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """ARNs of the live aliases, by function."""

    def client(self, service: str) -> Any:
        return clients.client(service)


def read(path: Path) -> Deployed:
    """The lab in a file of Terraform's outputs. Raises ConfigurationError."""
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))
        values = {name: item["value"] for name, item in outputs.items()}
        # Of a root module that passes all outputs of the lab on, as examples/photos-only does.
        values = values.get("lab", values)
        return Deployed(
            region=values["region"],
            api=values["api"],
            queues={
                name: Queue(queue["url"], queue["dead_letter_url"])
                for name, queue in values["queues"].items()
            },
            buckets=values.get("buckets", {}),
            tables=values.get("tables", {}),
            environments={
                name: function.get("environment", {})
                for name, function in values.get("functions", {}).items()
            },
            aliases={
                name: alias
                for name, function in values.get("functions", {}).items()
                if (alias := function.get("alias_arn"))
            },
            log_groups=tuple(
                sorted(
                    group
                    for function in values.get("functions", {}).values()
                    if (group := function.get("log_group"))
                )
            ),
        )
    except FileNotFoundError:
        raise ConfigurationError(
            str(path),
            ["the file does not exist; write the result of `terraform output -json` to it"],
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            str(path), [f"expected what `terraform output -json` prints: {error!r}"]
        ) from None
