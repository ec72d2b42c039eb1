"""A lab that the fake Terraform applies to, and AWS beside it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.deploy.release import Outcome, Releaser, Reporter, Result, Settings
from services.deploy.terraform import Terraform
from tests.unit.deploy import fake_terraform

CAREFUL = Settings(weight=0.1, bake_seconds=0.05, poll_seconds=0.01, pending_seconds=0.0)
ALARMS = {"list-images": ["list-images-errors"], "get-image": ["get-image-errors", "api-5xx"]}


@dataclass
class FakeEnvironment:
    """A lab that the fake Terraform applies to, and AWS beside it."""

    lab: Path
    alarms: dict[str, str] = field(default_factory=dict)
    cloudwatch_failures: int = 0
    asked: list[list[str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    mail_rate: float | None = 14.0
    """What SES allows; None: it refuses to say."""
    weights_seen: list[dict[str, Any]] = field(default_factory=list)
    """The aliases' weights whenever alarms were asked for."""

    @property
    def terraform(self) -> Terraform:
        return Terraform(self.lab, "test", self.lab.parent / "work")

    @property
    def releaser(self) -> Releaser:
        return Releaser(
            self.terraform, lambda _service: self, Reporter(self.steps.append, lambda _left: None)
        )

    def order(self, **more: Any) -> None:
        file = self.lab / "environment" / "orders.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | more))

    def image(self, function: str, image: str) -> None:
        images = json.loads((self.lab / "environment" / "orders.json").read_text())["images"]
        self.order(images=images | {function: image})

    def deploy(self, settings: Settings = CAREFUL) -> Outcome:
        return self.releaser.deploy(settings)

    def rollback(self) -> Outcome:
        return self.releaser.rollback()

    @property
    def state(self) -> dict[str, Any]:
        return fake_terraform.read(self.lab / "environment", "state")

    @property
    def live(self) -> dict[str, str]:
        return {name: function["live"] for name, function in self.state.items()}

    @property
    def weights(self) -> dict[str, Any]:
        return {name: f["weights"] for name, f in self.state.items() if f["weights"]}

    @property
    def record(self) -> dict[str, Any]:
        return fake_terraform.read(self.lab / "environment", "record")

    @property
    def calls(self) -> list[str]:
        lines = (self.lab / "environment" / "calls").read_text().splitlines()
        return [line.split()[0] for line in lines]

    # -- of Systems Manager, SES and CloudWatch

    def get_send_quota(self) -> dict[str, Any]:
        if self.mail_rate is None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetSendQuota")
        return {"MaxSendRate": self.mail_rate}

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "/darkroom/release"
        return {"Parameter": {"Value": json.dumps(self.record)}}

    def put_parameter(self, Name: str, Value: str, **_options: Any) -> None:  # noqa: N803
        assert Name == "/darkroom/release"
        fake_terraform.write(self.lab / "environment", "record", json.loads(Value))

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
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEnvironment]:
    """A lab with three functions that was deployed once."""
    binary = tmp_path / "bin" / "terraform"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {fake_terraform.__file__} "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    lab = tmp_path / "terraform" / "lab"
    (lab / "environment").mkdir(parents=True)
    environments = lab.parent / "environments"
    environments.mkdir()
    (environments / "test.tfvars").write_text("")
    (lab / "environment" / "calls").write_text("")
    fake_terraform.write(lab / "environment", "state", {})
    fake_terraform.write(lab / "environment", "record", {"before": {}, "held": {}})
    images = {"list-images": "a1", "get-image": "b1", "process-image": "c1"}
    fake_terraform.write(lab / "environment", "orders", {"images": images, "alarms": ALARMS})
    made = FakeEnvironment(lab)
    made.terraform.init()
    assert made.deploy().result is Result.RELEASED
    (lab / "environment" / "calls").write_text("")
    yield made
    # Whatever came of it, no call goes to two versions any more.
    assert made.weights == {}
