"""Schedules: EventBridge rules that send to a queue."""

from __future__ import annotations

from typing import Any

from services.local.provision.lab import FunctionQueue
from services.local.provision.names import resource_name
from services.platform.manifest import Manifest

# What a rule's one target is called.
SCHEDULE_TARGET = "queue"


def make_schedule(
    session: Any, manifest: Manifest, expression: str, queue: FunctionQueue, prefix: str
) -> None:
    """Creates the rule that sends a message to the function's queue on schedule."""
    events = session.client("events")
    rule = resource_name(manifest.name, prefix)
    events.put_rule(
        Name=rule,
        Description=f"Schedule of {manifest.name}.",
        ScheduleExpression=expression,
        State="ENABLED",
    )
    events.put_targets(Rule=rule, Targets=[{"Id": SCHEDULE_TARGET, "Arn": queue.arn}])
