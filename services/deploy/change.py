"""What a plan of Terraform's would change, in the terms of a release.

The plan's form: https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FUNCTION = re.compile(r'module\.function\["([^"]+)"\]\.aws_lambda_function\.this')
_ALIAS = re.compile(r'module\.function\["([^"]+)"\]\.aws_lambda_alias\.live')
_WORKER = re.compile(r'module\.worker\["([^"]+)"\]\.aws_ecs_task_definition\.this')
# Of a function's or worker's own release: their old ones are replaced each time, and hold nothing.
_REPLACED = frozenset({"aws_ecs_task_definition", "aws_lambda_invocation"})


@dataclass(frozen=True)
class Change:
    """What is planned: functions that get a new version, functions whose alias or weights move,
    workers that get a new task, and the addresses of all else and of what would be deleted."""

    versions: tuple[str, ...]
    aliases: tuple[str, ...]
    workers: tuple[str, ...]
    others: tuple[str, ...]
    deletions: tuple[str, ...]

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions whose callers get another version."""
        return tuple(sorted({*self.versions, *self.aliases}))


NOTHING = Change((), (), (), (), ())


def read_change(plan: Mapping[str, Any] | None) -> Change:
    """The change that a plan describes."""
    versions, aliases, workers, others, deletions = [], [], [], [], []
    for item in (plan or {}).get("resource_changes", ()):
        actions = item["change"]["actions"]
        if item.get("mode") != "managed" or actions in (["no-op"], ["read"]):
            continue
        address = item["address"]
        if (found := _FUNCTION.fullmatch(address)) and "delete" not in actions:
            if (item["change"].get("after_unknown") or {}).get("version") is True:
                versions.append(found[1])
            else:
                others.append(address)
        elif (found := _ALIAS.fullmatch(address)) and "delete" not in actions:
            aliases.append(found[1])
        elif found := _WORKER.fullmatch(address):
            workers.append(found[1])
        elif item["type"] not in _REPLACED:
            others.append(address)
        if "delete" in actions and item["type"] not in _REPLACED:
            deletions.append(address)
    return Change(*(tuple(sorted(x)) for x in (versions, aliases, workers, others, deletions)))
