"""Releases from plan to end, with a `terraform` on PATH that knows functions and their versions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.deploy import terraform as terraform_module
from services.deploy.release import Conductor, Moved, Outcome, Reporter, Result, Settings
from services.deploy.terraform import Terraform, TerraformError
from services.platform.errors import PermanentError
from tests.unit.deploy import fake_terraform

CAREFUL = Settings(weight=0.1, bake_seconds=0.05, poll_seconds=0.01)
ALARMS = {"list-images": ["list-images-errors"], "get-image": ["get-image-errors", "api-5xx"]}


@dataclass
class World:
    """A lab that the fake Terraform applies to, and AWS beside it."""

    lab: Path
    alarms: dict[str, str] = field(default_factory=dict)
    cloudwatch_failures: int = 0
    asked: list[list[str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    weights_seen: list[dict[str, Any]] = field(default_factory=list)
    """The aliases' weights whenever alarms were asked for."""

    @property
    def terraform(self) -> Terraform:
        return Terraform(self.lab, "test", self.lab.parent / "work")

    @property
    def conductor(self) -> Conductor:
        return Conductor(
            self.terraform, lambda _service: self, Reporter(self.steps.append, lambda _left: None)
        )

    def order(self, **more: Any) -> None:
        file = self.lab / "world" / "orders.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | more))

    def image(self, function: str, image: str) -> None:
        images = json.loads((self.lab / "world" / "orders.json").read_text())["images"]
        self.order(images=images | {function: image})

    def deploy(self, settings: Settings = CAREFUL) -> Outcome:
        return self.conductor.deploy(settings)

    def rollback(self) -> Outcome:
        return self.conductor.rollback()

    @property
    def state(self) -> dict[str, Any]:
        return fake_terraform.read(self.lab / "world", "state")

    @property
    def live(self) -> dict[str, str]:
        return {name: function["live"] for name, function in self.state.items()}

    @property
    def weights(self) -> dict[str, Any]:
        return {name: f["weights"] for name, f in self.state.items() if f["weights"]}

    @property
    def record(self) -> dict[str, Any]:
        return fake_terraform.read(self.lab / "world", "record")

    @property
    def calls(self) -> list[str]:
        lines = (self.lab / "world" / "calls").read_text().splitlines()
        return [line.split()[0] for line in lines]

    # -- of Systems Manager and CloudWatch

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "/darkroom/release"
        return {"Parameter": {"Value": json.dumps(self.record)}}

    def put_parameter(self, Name: str, Value: str, **_options: Any) -> None:  # noqa: N803
        assert Name == "/darkroom/release"
        fake_terraform.write(self.lab / "world", "record", json.loads(Value))

    def describe_alarms(self, AlarmNames: list[str], **_options: Any) -> dict[str, Any]:  # noqa: N803
        if self.weights:
            self.asked.append(AlarmNames)
            self.weights_seen.append(self.weights)
            if self.cloudwatch_failures:
                self.cloudwatch_failures -= 1
                raise EndpointConnectionError(endpoint_url="https://monitoring.example")
        states = {
            name: self.alarms.get(name, "OK") if self.weights or "before" in name else "OK"
            for name in AlarmNames
        }
        return {
            "MetricAlarms": [
                {"AlarmName": n, "StateValue": s} for n, s in states.items() if s != "missing"
            ]
        }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A lab with three functions that was deployed once."""
    binary = tmp_path / "bin" / "terraform"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {fake_terraform.__file__} "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    lab = tmp_path / "terraform" / "lab"
    (lab / "world").mkdir(parents=True)
    environments = lab.parent / "environments"
    environments.mkdir()
    (environments / "test.tfvars").write_text("")
    (lab / "world" / "calls").write_text("")
    fake_terraform.write(lab / "world", "state", {})
    fake_terraform.write(lab / "world", "record", {"before": {}, "held": {}})
    images = {"list-images": "a1", "get-image": "b1", "process-image": "c1"}
    fake_terraform.write(lab / "world", "orders", {"images": images, "alarms": ALARMS})
    made = World(lab)
    made.terraform.init()
    assert made.deploy().result is Result.RELEASED
    (lab / "world" / "calls").write_text("")
    yield made
    # Whatever came of it, no call goes to two versions any more.
    assert made.weights == {}


def test_the_first_release_is_an_apply(world: World) -> None:
    assert world.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert world.asked == []


def test_deploying_again_changes_nothing(world: World) -> None:
    assert world.deploy().result is Result.NOTHING
    assert "apply" not in world.calls


def test_a_new_image_gets_a_share_of_the_calls_and_then_all(world: World) -> None:
    world.image("get-image", "b2")
    outcome = world.deploy()
    assert outcome.result is Result.RELEASED
    assert outcome.moved == (Moved("get-image", "1", "2"),)
    assert world.weights_seen[0] == {"get-image": {"2": 0.1}}
    assert world.live == {"list-images": "1", "get-image": "2", "process-image": "1"}
    assert world.deploy().result is Result.NOTHING


def test_only_the_alarms_of_what_changes_are_watched(world: World) -> None:
    world.image("get-image", "b2")
    world.deploy()
    assert {name for names in world.asked for name in names} == {"get-image-errors", "api-5xx"}


def test_a_plan_alone_applies_nothing(world: World) -> None:
    world.image("get-image", "b2")
    outcome = world.deploy(replace(CAREFUL, only_plan=True))
    assert (outcome.result, outcome.moved) == (Result.PLANNED, (Moved("get-image", "1", None),))
    assert "apply" not in world.calls


def test_an_alarm_takes_the_release_back(world: World) -> None:
    world.image("get-image", "b2")
    world.alarms["api-5xx"] = "ALARM"
    outcome = world.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert outcome.reason == "in alarm: api-5xx"
    assert world.live["get-image"] == "1"
    assert world.record == {"before": {}, "held": {"get-image": "1"}}


def test_what_was_taken_back_is_not_released_by_the_next_deployment(world: World) -> None:
    world.image("get-image", "b2")
    world.alarms["api-5xx"] = "ALARM"
    world.deploy()
    world.alarms.clear()
    assert world.deploy().result is Result.NOTHING
    world.image("list-images", "a2")
    outcome = world.deploy()
    assert outcome.moved == (Moved("list-images", "1", "2"),)
    assert outcome.held == {"get-image": "1"}
    assert world.live == {"list-images": "2", "get-image": "1", "process-image": "1"}


def test_its_next_image_is(world: World) -> None:
    world.image("get-image", "b2")
    world.alarms["api-5xx"] = "ALARM"
    world.deploy()
    world.alarms.clear()
    world.image("get-image", "b3")
    outcome = world.deploy()
    assert outcome.moved == (Moved("get-image", "1", "3"),)
    assert world.weights_seen[-1] == {"get-image": {"3": 0.1}}
    assert world.record["held"] == {}


def test_so_it_is_when_asked_for(world: World) -> None:
    world.image("get-image", "b2")
    world.alarms["api-5xx"] = "ALARM"
    world.deploy()
    world.alarms.clear()
    again = replace(CAREFUL, again=True)
    assert world.deploy(replace(again, only_plan=True)).moved == (Moved("get-image", "1", "2"),)
    assert world.record["held"] == {"get-image": "1"}
    assert world.deploy(again).moved == (Moved("get-image", "1", "2"),)
    assert world.record["held"] == {}


def test_a_version_that_does_not_start_gets_no_call(world: World) -> None:
    world.order(bad_images=["b2"])
    world.image("get-image", "b2")
    world.image("list-images", "a2")
    outcome = world.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert "the warm-up of get-image failed" in str(outcome.reason)
    # The good one of the same release goes back as well: a release is all or nothing.
    assert world.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert world.record["held"] == {"get-image": "1", "list-images": "1"}
    assert world.asked == []


def test_an_alarm_from_before_does_not_stop_the_cure(world: World) -> None:
    world.order(alarms={"get-image": ["before-errors", "api-5xx"]})
    world.alarms["before-errors"] = "ALARM"
    world.image("get-image", "b2")
    assert world.deploy().result is Result.RELEASED
    assert {name for names in world.asked for name in names} == {"api-5xx"}
    assert "not watched, since in alarm already: before-errors" in world.steps


def test_alarms_that_cannot_be_watched_take_the_release_back(world: World) -> None:
    world.cloudwatch_failures = 3
    world.image("get-image", "b2")
    outcome = world.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert "cannot be watched" in str(outcome.reason)
    assert world.live["get-image"] == "1"


def test_cloudwatch_may_be_away_for_a_moment(world: World) -> None:
    world.cloudwatch_failures = 2
    world.image("get-image", "b2")
    assert world.deploy().result is Result.RELEASED


def test_alarms_that_are_not_there_are_told_before_anything_is_applied(world: World) -> None:
    world.alarms["before-missing"] = "missing"
    world.order(alarms={"get-image": ["before-missing"]})
    world.image("get-image", "b2")
    with pytest.raises(Exception, match="expected the alarms before-missing, found none"):
        world.deploy()
    assert "apply" not in world.calls


def test_an_interrupt_takes_the_release_back(world: World) -> None:
    world.image("get-image", "b2")

    def interrupt(_left: float) -> None:
        raise KeyboardInterrupt

    conductor = replace(world.conductor, report=Reporter(world.steps.append, interrupt))
    outcome = conductor.deploy(CAREFUL)
    assert (outcome.result, outcome.reason) == (Result.TAKEN_BACK, "interrupted")
    assert world.live["get-image"] == "1"


def test_a_release_that_was_killed_is_brought_to_its_end(world: World) -> None:
    world.image("get-image", "b2")

    def kill(_left: float) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        replace(world.conductor, report=Reporter(world.steps.append, kill)).deploy(CAREFUL)
    assert world.weights == {"get-image": {"2": 0.1}}
    outcome = world.deploy()
    assert (outcome.result, outcome.moved) == (Result.RELEASED, (Moved("get-image", "1", "2"),))
    assert world.asked[-1] == ["api-5xx", "get-image-errors"]
    world.rollback()
    assert world.live["get-image"] == "1"


def test_without_alarms_it_says_so(world: World) -> None:
    world.image("process-image", "c2")
    assert world.deploy().result is Result.RELEASED
    assert "there are no alarms to watch: the release is not tried out" in world.steps


def test_a_rollback_goes_back_to_what_was_live_before(world: World) -> None:
    world.image("get-image", "b2")
    world.image("list-images", "a2")
    world.deploy()
    outcome = world.rollback()
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.moved == (Moved("get-image", "2", "1"), Moved("list-images", "2", "1"))
    assert world.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert world.deploy().result is Result.NOTHING


def test_a_rollback_undoes_the_last_release_only(world: World) -> None:
    world.image("get-image", "b2")
    world.deploy()
    world.image("list-images", "a2")
    world.deploy()
    world.rollback()
    assert world.live == {"list-images": "1", "get-image": "2", "process-image": "1"}


def test_there_is_no_second_rollback(world: World) -> None:
    world.image("get-image", "b2")
    world.deploy()
    world.rollback()
    with pytest.raises(PermanentError, match="nothing was released since"):
        world.rollback()


def test_deletions_have_to_be_meant(world: World) -> None:
    gone = {
        "address": 'module.queue["old"].aws_sqs_queue.this',
        "mode": "managed",
        "type": "aws_sqs_queue",
        "change": {"actions": ["delete"], "after_unknown": {}},
    }
    world.order(other_changes=[gone])
    with pytest.raises(PermanentError, match=r"the plan deletes module\.queue\[\"old\"\]"):
        world.deploy()
    assert "apply" not in world.calls
    outcome = world.deploy(replace(CAREFUL, deletions=True))
    assert outcome.result is Result.RELEASED
    assert outcome.others == ('module.queue["old"].aws_sqs_queue.this',)


def test_without_terraform_it_says_what_to_install(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PermanentError, match="found no terraform command: install Terraform"):
        world.terraform.init()


def test_an_unknown_environment_is_told_with_those_there_are(world: World) -> None:
    with pytest.raises(PermanentError, match=r"expected an environment of test .*, got 'live'"):
        replace(world.terraform, environment="live").init()


def test_the_registry_is_no_environment(world: World) -> None:
    (world.lab.parent / "environments" / "registry.tfvars").write_text("")
    with pytest.raises(PermanentError, match=r"of test .*, got 'registry'"):
        replace(world.terraform, environment="registry").init()


def test_a_state_without_a_bucket_is_told_before_terraform_is_asked(world: World) -> None:
    backend = world.lab.parent / "environments" / "test.s3.tfbackend"
    backend.write_text('key = "lab.tfstate"\n')
    with pytest.raises(PermanentError, match="expected the bucket of the state, in --state-bucket"):
        world.terraform.init()
    assert world.calls == []
    backend.write_text('key = "lab.tfstate"\nbucket = "states"\n')
    world.terraform.init()
    assert world.calls == ["init"]


def test_each_environment_has_its_own_state(world: World) -> None:
    (world.lab.parent / "environments" / "test.s3.tfbackend").write_text("")
    replace(world.terraform, state_bucket="states").init()
    line = (world.lab / "world" / "calls").read_text().splitlines()[-1]
    assert "-reconfigure" in line
    assert line.endswith("test.s3.tfbackend -backend-config=bucket=states")


def test_terraform_that_hangs_is_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order(hangs="plan")
    monkeypatch.setattr(terraform_module, "PLAN_SECONDS", 0.5)
    with pytest.raises(TerraformError, match=r"terraform plan did not end in 0\.5 s"):
        world.terraform.plan()
