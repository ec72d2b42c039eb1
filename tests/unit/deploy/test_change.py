"""Plans of the real Terraform (recorded from the lab on an emulator), in the terms of a release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.deploy.change import NOTHING, Change, read_change

PLANS: dict[str, Any] = json.loads((Path(__file__).parent / "plans.json").read_text())


def test_change_of_image_is_version_and_alias() -> None:
    assert read_change(PLANS["new_image"]) == Change(
        versions=("get-api-document",),
        aliases=("get-api-document",),
        workers=(),
        others=(),
        deletions=(),
    )


def test_change_at_end_of_release_moves_alias() -> None:
    change = read_change(PLANS["released"])
    assert (change.versions, change.functions) == ((), ("get-api-document",))


def test_change_of_first_apply_has_functions_workers_and_others() -> None:
    change = read_change(PLANS["first"])
    assert change.functions == ("get-image",)
    assert change.workers == ("process-image",)
    assert 'module.queue["process-image"].aws_sqs_queue.this' in change.others
    assert change.deletions == ()


def test_missing_plan_is_no_change() -> None:
    assert read_change(None) == NOTHING


def test_replaced_task_or_warm_up_is_not_a_deletion() -> None:
    replaced = [
        item(f'module.function["get-image"].{kind}.it', kind, ["delete", "create"])
        for kind in ("aws_lambda_invocation", "aws_ecs_task_definition")
    ]
    assert read_change({"resource_changes": replaced}).deletions == ()


def test_removed_function_is_a_deletion() -> None:
    gone = item(
        'module.function["get-image"].aws_lambda_function.this', "aws_lambda_function", ["delete"]
    )
    change = read_change({"resource_changes": [gone]})
    assert (change.versions, change.deletions) == ((), (gone["address"],))


def test_deleted_and_replaced_networks_are_named_by_id() -> None:
    subnet, group, changed = (
        item(f"module.database[0].{kind}.it", kind, actions)
        for kind, actions in (
            ("aws_subnet", ["delete"]),
            ("aws_security_group", ["delete", "create"]),
            ("aws_security_group", ["update"]),
        )
    )
    for number, found in enumerate((subnet, group, changed)):
        found["change"]["before"] = {"id": f"id-{number}"}
    gone = item(
        'module.function["get-image"].aws_lambda_function.this', "aws_lambda_function", ["delete"]
    )
    change = read_change({"resource_changes": [subnet, group, changed, gone]})
    assert change.deleted_network == {"id-0", "id-1"}
    assert change.deleted_functions == {"get-image"}


def test_data_source_read_is_no_change() -> None:
    read = item("data.aws_region.current", "aws_region", ["read"]) | {"mode": "data"}
    assert read_change({"resource_changes": [read]}) == NOTHING


def item(address: str, type_: str, actions: list[str]) -> dict[str, Any]:
    change = {"actions": actions, "after_unknown": {}}
    return {"address": address, "mode": "managed", "type": type_, "change": change}


def test_change_names_images_of_new_versions_and_tasks() -> None:
    task = json.dumps([{"name": "worker", "image": "registry.example/process-image@sha256:2"}])
    plan = {
        "resource_changes": [
            {
                "address": 'module.function["get-image"].aws_lambda_function.this',
                "mode": "managed",
                "type": "aws_lambda_function",
                "change": {
                    "actions": ["update"],
                    "after": {"image_uri": "registry.example/get-image@sha256:1"},
                    "after_unknown": {"version": True},
                },
            },
            {
                "address": 'module.worker["process-image"].aws_ecs_task_definition.this',
                "mode": "managed",
                "type": "aws_ecs_task_definition",
                "change": {
                    "actions": ["delete", "create"],
                    "after": {"container_definitions": task},
                },
            },
        ]
    }
    assert read_change(plan).images == {
        "get-image": "registry.example/get-image@sha256:1",
        "process-image": "registry.example/process-image@sha256:2",
    }
