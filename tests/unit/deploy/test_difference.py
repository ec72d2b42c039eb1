"""`darkroom plan`: what would change, with the images that are applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli import deploy, main
from services.deploy.difference import Difference, compare
from services.platform.errors import PermanentError
from tests.unit.deploy.fake_environment import FakeEnvironment

POLICY = {
    "address": "aws_iam_role_policy.one",
    "mode": "managed",
    "type": "aws_iam_role_policy",
    "change": {"actions": ["delete", "create"]},
}
READ = {
    "address": "data.aws_region.current",
    "mode": "data",
    "type": "aws_region",
    "change": {"actions": ["read"]},
}
FUNCTIONS = ("get-image", "list-images", "process-image")


@pytest.fixture
def command(environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch) -> FakeEnvironment:
    """The environment, as that of the command line."""
    monkeypatch.setattr(deploy, "LAB", environment.lab)
    monkeypatch.setattr(deploy, "WORK", environment.lab.parent / "work")
    return environment


def test_images_that_are_not_released_are_no_change(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    assert compare(environment.terraform, FUNCTIONS) == Difference({})
    assert "apply" not in environment.calls


def test_changes_are_those_of_resources_and_have_no_values(environment: FakeEnvironment) -> None:
    environment.order(other_changes=[POLICY, READ])
    found = compare(environment.terraform, FUNCTIONS)
    assert found.changes == {"aws_iam_role_policy.one": "replace"}
    assert found.summary == "1 to replace"
    assert found.markdown("test").splitlines() == [
        "**Terraform plan of test:** 1 to replace",
        "",
        "| | resource |",
        "|---|---|",
        "| replace | `aws_iam_role_policy.one` |",
    ]


def test_function_without_an_image_is_planned_all_the_same(environment: FakeEnvironment) -> None:
    environment.order(
        images={"list-images": "a1", "get-image": "b1", "process-image": "c1", "new": "x"}
    )
    found = compare(environment.terraform, (*FUNCTIONS, "new"))
    assert found.summary == "2 to create"
    beside = json.loads((environment.terraform.work / "deploy.tfvars.json").read_text())
    assert beside["image_digests"]["new"].endswith("/new@sha256:" + "0" * 64)


def test_lab_whose_outputs_have_no_images_is_refused(environment: FakeEnvironment) -> None:
    (environment.lab / "environment" / "state.json").write_text("{}")
    with pytest.raises(PermanentError, match="expected the images"):
        compare(environment.terraform, FUNCTIONS)


@pytest.mark.parametrize(("changes", "code"), [([], 0), ([POLICY], 1)])
def test_plan_command_fails_on_drift(
    command: FakeEnvironment, capsys: pytest.CaptureFixture[str], changes: list[object], code: int
) -> None:
    command.order(other_changes=changes)
    assert main.main(["plan", "test", "--fail-on-changes", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {
        "environment": "test",
        "changes": {"aws_iam_role_policy.one": "replace"} if changes else {},
    }


def test_plan_command_prints_a_comment(
    command: FakeEnvironment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command.order(other_changes=[POLICY])
    assert main.main(["plan", "test", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("**Terraform plan of test:** 1 to replace\n")
