"""What a plan of Terraform's would change, in the terms of a release.

The plan's form: https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_FUNCTION = re.compile(r'module\.function\["([^"]+)"\]\.aws_lambda_function\.this')
_ALIAS = re.compile(r'module\.function\["([^"]+)"\]\.aws_lambda_alias\.live')
_WORKER = re.compile(r'module\.worker\["([^"]+)"\]\.aws_ecs_task_definition\.this')
_NETWORK = frozenset({"aws_security_group", "aws_subnet"})
# Of a function's or worker's own release: their old ones are replaced each time, and hold nothing.
_REPLACED = frozenset({"aws_ecs_task_definition", "aws_lambda_invocation"})


@dataclass(frozen=True)
class Change:
    """What is planned: functions that get a new version, functions whose alias or weights move,
    workers that get a new task, and the addresses of all else and of what would be deleted.
    `images` are those of new versions and tasks, by function; `deleted_network` has the ids of
    subnets and security groups that would be deleted."""

    versions: tuple[str, ...]
    aliases: tuple[str, ...]
    workers: tuple[str, ...]
    others: tuple[str, ...]
    deletions: tuple[str, ...]
    images: Mapping[str, str] = field(default_factory=dict)
    deleted_network: frozenset[str] = frozenset()

    @property
    def deleted_functions(self) -> frozenset[str]:
        """Functions that would be deleted, with all of their versions."""
        matches = (_FUNCTION.fullmatch(address) for address in self.deletions)
        return frozenset(match[1] for match in matches if match)

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions whose callers get another version."""
        return tuple(sorted({*self.versions, *self.aliases}))


NOTHING = Change((), (), (), (), ())


def read_change(plan: Mapping[str, Any] | None) -> Change:
    """The change that a plan describes."""
    versions, aliases, workers, others, deletions = [], [], [], [], []
    images: dict[str, str] = {}
    network: set[str] = set()
    for item in (plan or {}).get("resource_changes", ()):
        actions = item["change"]["actions"]
        if item.get("mode") != "managed" or actions in (["no-op"], ["read"]):
            continue
        address = item["address"]
        if (found := _FUNCTION.fullmatch(address)) and "delete" not in actions:
            if (item["change"].get("after_unknown") or {}).get("version") is True:
                versions.append(found[1])
                if image := (item["change"].get("after") or {}).get("image_uri"):
                    images[found[1]] = image
            else:
                others.append(address)
        elif (found := _ALIAS.fullmatch(address)) and "delete" not in actions:
            aliases.append(found[1])
        elif found := _WORKER.fullmatch(address):
            workers.append(found[1])
            for image in _task_images(item["change"].get("after") or {}):
                images[found[1]] = image
        elif item["type"] not in _REPLACED:
            others.append(address)
        if "delete" in actions and item["type"] not in _REPLACED:
            deletions.append(address)
            if item["type"] in _NETWORK:
                network.add(item["change"]["before"]["id"])
    return Change(
        versions=tuple(sorted(versions)),
        aliases=tuple(sorted(aliases)),
        workers=tuple(sorted(workers)),
        others=tuple(sorted(others)),
        deletions=tuple(sorted(deletions)),
        images=images,
        deleted_network=frozenset(network),
    )


def _task_images(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """The images of a task definition; none where they are not known before the apply."""
    containers = json.loads(definition.get("container_definitions") or "[]")
    return tuple(container["image"] for container in containers)
