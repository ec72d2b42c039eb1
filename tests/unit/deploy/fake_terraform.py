#!/usr/bin/env python3
"""A `terraform` for tests: of the lab it knows the functions' images, versions and aliases.

It answers the calls that a deployment makes in the forms of Terraform 1.11, which were recorded
from the lab on an emulator (plans.json). Its files are in the folder `environment` of the root:
`state.json`, `record.json` (the parameter that says what is held), `calls` (one line a call), and
`orders.json`: what a test wants of it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    lab = Path(arguments[0].removeprefix("-chdir="))
    command, options = arguments[1], arguments[2:]
    environment = lab / "environment"
    with (environment / "calls").open("a") as calls:
        calls.write(" ".join([command, *options]) + "\n")
    orders = json.loads((environment / "orders.json").read_text())
    if command == orders.get("hangs"):
        time.sleep(60)
    if command == "init":
        return 0
    if command == "output":
        print(json.dumps(outputs(read(environment, "state"), orders)))  # noqa: T201
        return 0
    if command == "show":
        print(json.dumps(json.loads(Path(options[-1]).read_text())["shown"]))  # noqa: T201
        return 0
    variables: dict[str, Any] = {}
    for option in options:
        if option.startswith("-var-file=") and option.endswith(".json"):
            variables |= json.loads(Path(option.removeprefix("-var-file=")).read_text())
    if command == "plan":
        planned = plan(read(environment, "state"), read(environment, "record"), orders, variables)
        (file,) = (o.removeprefix("-out=") for o in options if o.startswith("-out="))
        Path(file).write_text(json.dumps(planned))
        return 2 if planned["shown"]["resource_changes"] else 0
    if command == "apply":
        planned = json.loads(Path(options[-1]).read_text())
        state, bad = planned["after"], []
        pending = orders.get("pending_applies", 0)
        orders_after = orders | {"pending_applies": max(0, pending - 1)}
        (environment / "orders.json").write_text(json.dumps(orders_after))
        for name, function in state.items():
            if function["asked"] and (pending or function["image"] in orders.get("bad_images", [])):
                # The version is there, and the alias stays where it was.
                bad.append(name)
                before = read(environment, "state")[name]
                function.update(live=before["live"], weights=before["weights"], asked=False)
        write(environment, "state", state)
        if bad:
            reason = "The function is currently in the following state: Pending" * bool(pending)
            names = ", ".join(bad)
            print(f"Error: the warm-up of {names} failed. {reason}", file=sys.stderr)  # noqa: T201
            return 1
        return 0
    raise AssertionError(f"a deployment does not call terraform {command}")


def plan(
    state: dict[str, Any], record: dict[str, Any], orders: dict[str, Any], variables: dict[str, Any]
) -> dict[str, Any]:
    """What an apply would do, as `show -json` describes it; and the state after it."""
    held, live_versions = record["held"], variables.get("live_versions", {})
    weight = variables.get("canary_weight", 0)
    changes: list[dict[str, Any]] = list(orders.get("other_changes", []))
    after: dict[str, Any] = {}
    digests = variables.get("image_digests", {})
    for name, ordered in orders["images"].items():
        image = digests.get(name, ordered)
        was = state.get(name)
        newer = was is None or was["image"] != image
        newest = 1 if was is None else was["newest"] + newer
        wanted = live_versions.get(name, held.get(name))
        live = str(newest) if wanted is None else wanted
        split = name in live_versions and weight > 0 and live != str(newest)
        weights = {str(newest): weight} if split else {}
        after[name] = {
            "image": image, "newest": newest, "live": live, "weights": weights,
            # Only a version that is to get calls is asked whether it starts.
            "asked": wanted is None or split,
        }  # fmt: skip
        if newer:
            unknown = (
                {"version": True, "qualified_arn": True} if was else {"version": True, "arn": True}
            )
            made = change(
                name, "aws_lambda_function", "this", "update" if was else "create", unknown
            )
            made["change"]["after"] = {"image_uri": image}
            changes.append(made)
        if was is None or (was["live"], was["weights"]) != (live, weights):
            changes.append(
                change(name, "aws_lambda_alias", "live", "update" if was else "create", {})
            )
    return {"shown": {"resource_changes": changes}, "after": after}


def change(function: str, type_: str, name: str, action: str, unknown: dict[str, Any]) -> Any:
    return {
        "address": f'module.function["{function}"].{type_}.{name}',
        "module_address": f'module.function["{function}"]',
        "mode": "managed",
        "type": type_,
        "name": name,
        "change": {"actions": [action], "after_unknown": unknown},
    }


def outputs(state: dict[str, Any], orders: dict[str, Any]) -> dict[str, Any]:
    if not state:
        return {}
    functions = {
        name: {
            "compute": "lambda",
            "version": str(f["newest"]),
            "live_version": f["live"],
            "image_uri": f["image"],
        }
        for name, f in state.items()
    }
    values = {
        "functions": functions,
        "alarms": orders.get("alarms", {}),
        "release": "/darkroom/release",
        "region": "eu-central-1",
        "mail_rate_wanted": orders.get("mail_rate_wanted", False),
    }
    return {name: {"sensitive": False, "value": value} for name, value in values.items()}


def read(environment: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((environment / f"{name}.json").read_text())
    return document


def write(environment: Path, name: str, document: dict[str, Any]) -> None:
    (environment / f"{name}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
