"""Plans of a change: new code affects its function alone; the order of YAML affects nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infrastructure.conftest import Applied
from tests.infrastructure.environment import manifests
from tests.infrastructure.terraform import changed

pytestmark = pytest.mark.slow
ANOTHER_DIGEST = "sha256:" + "f" * 64


def with_another_image(applied: Applied, function: str) -> dict[str, Any]:
    images = dict(applied.lab.variables["image_digests"])
    repository, _, _ = images[function].partition("@")
    images[function] = f"{repository}@{ANOTHER_DIGEST}"
    return applied.lab.plan(refresh=False, image_digests=images)


def test_new_image_of_a_route_changes_its_function_and_alias_only(applied: Applied) -> None:
    plan = with_another_image(applied, "list-images")
    module = 'module.function["list-images"]'
    assert changed(plan) == {
        f"{module}.aws_lambda_function.this": ["update"],
        f"{module}.aws_lambda_alias.live": ["update"],
    }
    function, alias = (
        next(c["change"] for c in plan["resource_changes"] if c["address"] == f"{module}.{name}")
        for name in ("aws_lambda_function.this", "aws_lambda_alias.live")
    )
    assert differing(function) == {"image_uri"}
    assert function["after_unknown"]["version"] is True
    assert alias["after_unknown"] == {"function_version": True, "routing_config": []}


def differing(change: dict[str, Any]) -> set[str]:
    """Attributes whose value differs, of those known before the apply."""
    before, after = change["before"], change["after"]
    return {name for name in after if before.get(name) != after[name]}


def test_new_image_of_a_held_function_keeps_its_alias(applied: Applied) -> None:
    live = applied.output["functions"]["list-images"]["live_version"]
    images = dict(applied.lab.variables["image_digests"])
    images["list-images"] = f"{images['list-images'].partition('@')[0]}@{ANOTHER_DIGEST}"
    plan = applied.lab.plan(
        refresh=False, image_digests=images, live_versions={"list-images": live}
    )
    assert changed(plan) == {
        'module.function["list-images"].aws_lambda_function.this': ["update"],
    }


def test_reordered_yaml_files_plan_no_changes(applied: Applied) -> None:
    files = [
        *sorted((applied.lab.tree / "images").glob("*/function.yaml")),
        applied.lab.folder / "topology.yaml",
        applied.lab.folder / "recipes.yaml",
    ]
    assert len(files) == len(manifests()) + 2
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    try:
        for file in files:
            reverse_file(file)
        assert any(file.read_text(encoding="utf-8") != text for file, text in texts.items())
        assert changed(applied.lab.plan()) == {}
    finally:
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")


def reverse_file(file: Path) -> None:
    """Reverses every mapping and every list of a YAML file."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(reverse(document), sort_keys=False), encoding="utf-8")


def reverse(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [reverse(item) for item in reversed(value)]
    return value
