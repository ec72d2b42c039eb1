"""Terraform and the embedded lab create equal resources, each on an emulator of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.local import emulator as emulators
from services.local.aws_session import LocalSession
from services.local.provision import Database, Lab, Payments, provision
from tests.infrastructure.conftest import Applied
from tests.infrastructure.description import describe
from tests.infrastructure.environment import (
    API_KEY,
    WEBHOOK_SECRET,
    Cloud,
    loaded_topology,
    manifests,
)

pytestmark = pytest.mark.slow
# In place of both endpoints, whose ports differ.
HERE = "http://the-emulator"


@pytest.fixture(scope="module")
def provisioned(
    applied: Applied, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Lab]]:
    """A second emulator's endpoint, and the lab that the embedded provisioning created there."""
    environment, server = applied.environment, applied.environment.postgres
    with emulators.running(Path(tmp_path_factory.mktemp("second")) / "emulator.log") as cloud:
        lab = provision(
            LocalSession(cloud.endpoint),
            loaded_topology(),
            manifests(),
            database=Database(environment.database_url, server.username, server.password),
            payments=Payments(API_KEY, WEBHOOK_SECRET),
        )
        yield cloud.endpoint, lab


@pytest.fixture(scope="module")
def both(applied: Applied, provisioned: tuple[str, Lab]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Descriptions of both labs, without the endpoints of the emulators."""
    return tuple(
        json.loads(json.dumps(describe(cloud), default=str).replace(cloud.endpoint, HERE))
        for cloud in (applied.environment.cloud, Cloud(provisioned[0]))
    )


@pytest.mark.parametrize(
    "kind",
    ["queues", "rules", "topics", "subscriptions", "buckets", "tables", "workflows", "senders"],
)
def test_resources_are_equal(both: tuple[dict[str, Any], dict[str, Any]], kind: str) -> None:
    terraform, local = both
    assert terraform[kind], f"no {kind} to compare"
    assert terraform[kind] == local[kind]


def test_function_environments_are_equal(applied: Applied, provisioned: tuple[str, Lab]) -> None:
    _, lab = provisioned
    for item in manifests():
        ours = dict(applied.output["functions"][item.name]["environment"])
        theirs = lab.environment(item)
        for name in (
            "PAYMENTS_URL",
            "DEAD_LETTER_QUEUE_URL",
            "MAX_RECEIVE_COUNT",
            "QUEUE_URL",
            "OWNER_ENVIRONMENTS",
        ):
            # Set by the runner of the function: they differ by design.
            ours.pop(name, None)
            theirs.pop(name, None)
        assert comparable(ours) == comparable(theirs), item.name


def comparable(environment: dict[str, str]) -> dict[str, Any]:
    """Without the random suffix of secret ARNs; JSON parsed, since its text may differ."""
    return {
        name: json.loads(value)
        if name == "CORS_RULES"
        else value.rpartition("-")[0]
        if name.endswith("_SECRET_ARN")
        else value
        for name, value in environment.items()
    }


def test_comparison_detects_a_difference(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Changes one attribute at a time and expects inequality."""
    terraform, _ = both
    changes: list[tuple[str, list[str], Any]] = [
        ("queues", ["darkroom-process-image", "VisibilityTimeout"], "30"),
        ("queues", ["darkroom-process-image", "RedrivePolicy", "maxReceiveCount"], 7),
        ("rules", ["darkroom-start-orders", "ScheduleExpression"], "rate(1 day)"),
        ("rules", ["darkroom-start-orders", "targets"], []),
        ("buckets", ["darkroom-originals", "versioning"], None),
        ("tables", ["darkroom-images", "expiry", "AttributeName"], "another"),
        ("workflows", ["darkroom-order-workflow", "definition", "StartAt"], "FulfillOrder"),
    ]
    for kind, path, value in changes:
        changed = copy.deepcopy(terraform[kind])
        at = changed
        for key in path[:-1]:
            at = at[key]
        assert at[path[-1]] != value, "the value does not change"
        at[path[-1]] = value
        assert changed != terraform[kind]
