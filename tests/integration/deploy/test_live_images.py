"""Tags of live images in the emulator's ECR."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.deploy.live_images import LiveImages, parse_image
from services.deploy.release import Releaser, Reporter, Result, Settings
from services.local import emulator as emulators
from services.local.aws_session import LocalSession
from services.local.emulator import free_port
from services.monitoring.release_record import Record, write_record
from services.runtime.processes import die_with_parent
from tests.integration.deploy.planned import PlannedLab, worker_output

REPOSITORY = "darkroom/get-image"
HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
FUNCTION = "darkroom-get-image"


@dataclass(frozen=True)
class Registry:
    """A repository and a function in the emulator."""

    ecr: Any
    lambda_: Any
    ssm: Any

    @property
    def live(self) -> LiveImages:
        return LiveImages(self.ecr, self.lambda_, "darkroom")

    def push(self, tag: str) -> str:
        """An image with this tag; returns its digest."""
        manifest = json.dumps({"schemaVersion": 2, "name": tag})
        self.ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag)
        return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"

    def release(self, digest: str) -> str:
        """A version of the function with this image."""
        image = f"{HOST}/{REPOSITORY}@{digest}"
        if self.lambda_.list_functions()["Functions"]:
            made = self.lambda_.update_function_code(
                FunctionName=FUNCTION, ImageUri=image, Publish=True
            )
        else:
            made = self.lambda_.create_function(
                FunctionName=FUNCTION, Role="arn:aws:iam::000000000000:role/any",
                PackageType="Image", Code={"ImageUri": image}, Publish=True,
            )  # fmt: skip
        return str(made["Version"])

    def tags(self) -> dict[str, list[str]]:
        """Tags by digest."""
        images = self.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        return {image["imageDigest"]: image["imageTags"] for image in images}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    emulator = emulators.start(free_port(), tmp_path / "emulator.log", None, die_with_parent)
    try:
        session = LocalSession(emulator.endpoint)
        made = Registry(*(session.client(name) for name in ("ecr", "lambda", "ssm")))
        made.ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
        yield made
    finally:
        emulators.stop(emulator)


def own(digest: str) -> str:
    return f"live-darkroom-{digest.removeprefix('sha256:')[:16]}"


def test_live_and_previous_images_get_a_tag(registry: Registry) -> None:
    digests = [registry.push(f"r{n}") for n in range(3)]
    versions = [registry.release(digest) for digest in digests]
    assert registry.live.protect(FUNCTION, versions[1:], prune=True)
    tags = registry.tags()
    assert [own(digest) in tags[digest] for digest in digests] == [False, True, True]
    assert registry.live.protect(FUNCTION, versions[1:], prune=True), "a second time"
    assert registry.tags() == tags


def test_image_that_is_no_longer_live_loses_its_tag(registry: Registry) -> None:
    digests = [registry.push(f"r{n}") for n in range(2)]
    versions = [registry.release(digest) for digest in digests]
    registry.live.protect(FUNCTION, versions[:1], prune=False)
    registry.live.protect(FUNCTION, versions[1:], prune=False)
    assert own(digests[0]) in registry.tags()[digests[0]], "not pruned yet"
    registry.live.protect(FUNCTION, versions[1:], prune=True)
    assert own(digests[0]) not in registry.tags().get(digests[0], [])
    assert own(digests[1]) in registry.tags()[digests[1]]


def test_image_that_ecr_does_not_have_is_reported(registry: Registry) -> None:
    version = registry.release(f"sha256:{'0' * 64}")
    assert not registry.live.protect(FUNCTION, [version], prune=True)


def test_images_of_a_worker_before_and_after_a_release_get_a_tag(registry: Registry) -> None:
    digests = [registry.push(f"r{n}") for n in range(3)]
    registry.live.protect_images([f"{HOST}/{REPOSITORY}@{digests[0]}"], prune=True)
    before, after = (
        {"get-image": worker_output(FUNCTION, f"{HOST}/{REPOSITORY}@{digest}")}
        for digest in digests[1:]
    )
    change = {
        "address": 'module.worker["get-image"].aws_ecs_task_definition.this',
        "mode": "managed",
        "type": "aws_ecs_task_definition",
        "change": {"actions": ["delete", "create"], "after": {}},
    }
    lab = PlannedLab(before, [change], after, parameter="/darkroom/release")
    write_record(registry.ssm, lab.parameter, Record())
    steps: list[str] = []
    clients = {"ecr": registry.ecr, "lambda": registry.lambda_, "ssm": registry.ssm}
    releaser = Releaser(lab, clients.__getitem__, Reporter(steps.append, lambda _left: None))
    outcome = releaser.deploy(Settings(weight=0.1, bake_seconds=0))
    assert (outcome.result, outcome.workers) == (Result.RELEASED, ("get-image",))
    tags = registry.tags()
    assert [own(digest) in tags.get(digest, ()) for digest in digests] == [False, True, True]
    assert steps == ["applying"], "all images are protected"


def test_image_of_another_registry_is_not_of_ecr() -> None:
    assert parse_image(f"registry.example/darkroom/get-image@sha256:{'0' * 64}") is None
