"""Releases of a lab with two functions on MiniStack, by the real Terraform."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.errors import ImageNotFound

from services.cli import deploy
from services.local import emulator as emulators
from services.local.aws_session import LocalSession
from services.local.emulator import LOOPBACK, REGION, aws_environment, free_port
from services.local.state import PROJECT
from services.runtime.processes import die_with_parent
from tests.containers.engine import Engine
from tests.infrastructure import terraform
from tests.support.waiting import scaled

pytestmark = pytest.mark.slow
FUNCTIONS = ("get-api-document", "answer-preflight")
ENVIRONMENT = "trial"
TIMEOUT_SECONDS = 600
BASE = "public.ecr.aws/lambda/python:3.13"
ANSWERS = "def handler(event, context):\n    return {'warm': True, 'says': %r}\n"
DOES_NOT_START = "raise RuntimeError('this image does not start')\n"


# MiniStack has no image scans; unit tests cover what a release refuses by them.
DEPLOY = ("deploy", "--refuse", "none")


@dataclass(frozen=True)
class Trial:
    """A lab of `FUNCTIONS`, and the `darkroom` command for it."""

    tree: Path
    emulator: emulators.Emulator
    variables: Mapping[str, Any]

    def images(self, **digests: str) -> None:
        """Writes image digests as `make push` does."""
        file = self.tree / "terraform" / "lab" / "images.auto.tfvars.json"
        known = json.loads(file.read_text())["image_digests"] if file.exists() else {}
        named = {name.replace("_", "-"): image for name, image in digests.items()}
        file.write_text(json.dumps({"image_digests": known | named}))

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Runs `darkroom ARGUMENTS trial --json` on this lab and returns its output."""
        command = [sys.executable, "-c", STARTER, str(self.tree), *arguments]
        with terraform.delayed(aws_environment(self.emulator.endpoint)) as aws:
            done = subprocess.run(
                [*command, ENVIRONMENT, "--json"],
                cwd=PROJECT, env=self._environment(aws), capture_output=True, text=True,
                timeout=scaled(TIMEOUT_SECONDS), check=False,
            )  # fmt: skip
        assert done.returncode == code, f"{done.returncode}: {done.stdout}\n{done.stderr}"
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def alias(self, function: str) -> dict[str, Any]:
        """Version and weights of the alias `live`."""
        client = LocalSession(self.emulator.endpoint).client("lambda")
        found = client.get_alias(FunctionName=f"darkroom-{function}", Name="live")
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return {"version": found["FunctionVersion"], "weights": weights}

    def _environment(self, aws: Mapping[str, str]) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "TF_"))}
        plugins = terraform.plugin_folder()
        return {
            **kept,
            **aws,
            **({"TF_CLI_ARGS_init": f"-plugin-dir={plugins}"} if plugins else {}),
            "TF_CLI_ARGS_plan": "-parallelism=20",
            "TF_CLI_ARGS_apply": "-parallelism=20",
            "CHECKPOINT_DISABLE": "1",
        }


# The command, with the folders of another tree.
STARTER = f"""
import sys
from pathlib import Path
from services.cli import main
from {deploy.__name__.rpartition(".")[0]} import deploy
tree = Path(sys.argv[1])
deploy.LAB, deploy.WORK = tree / "terraform" / "lab", tree / "work"
sys.exit(main.main(sys.argv[2:]))
"""


@contextmanager
def trial(folder: Path, *, engine: bool) -> Iterator[Trial]:
    """A lab before its first apply."""
    tree = terraform.copy(folder / "tree")
    for images in (tree / "images").iterdir():
        if images.name not in FUNCTIONS:
            shutil.rmtree(images)
    topology = tree / "terraform" / "lab" / "topology.yaml"
    document = yaml.safe_load(topology.read_text(encoding="utf-8"))
    topology.write_text(yaml.safe_dump(document | {"workflows": {}}), encoding="utf-8")
    variables = {
        "region": REGION,
        "target": "ministack",
        "emulator_has_engine": engine,
        "protected": False,
        "reserved_concurrency_enabled": False,
        "external_database": {
            "url": "postgresql://u@unused.invalid/unused",
            "username": "unused",
        },
        "external_database_password": "unused",
    }
    environments = tree / "terraform" / "environments"
    environments.mkdir(exist_ok=True)
    (environments / f"{ENVIRONMENT}.tfvars").write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in variables.items())
    )
    cloud = emulators.start(free_port(), folder / "emulator.log", None, die_with_parent)
    try:
        yield Trial(tree, cloud, variables)
    finally:
        emulators.stop(cloud)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Trial]:
    """A lab without a Docker engine: versions are published but never invoked."""
    with trial(tmp_path, engine=False) as made:
        made.images(**{n.replace("-", "_"): d for n, d in terraform.images([*FUNCTIONS]).items()})
        yield made


def other(image: str, digit: str) -> str:
    return f"{image.partition('@')[0]}@sha256:{digit * 64}"


def test_release_moves_the_alias_and_rollback_moves_it_back(lab: Trial) -> None:
    first = lab.run(*DEPLOY)
    assert first["result"] == "released"
    assert {moved["function"] for moved in first["moved"]} == set(FUNCTIONS)

    assert lab.run(*DEPLOY)["result"] == "nothing-to-do"

    image = terraform.images([*FUNCTIONS])["get-api-document"]
    lab.images(get_api_document=other(image, "a"))
    second = lab.run(*DEPLOY, "--bake-minutes", "0")
    assert second["moved"] == [{"function": "get-api-document", "before": "1", "after": "2"}]
    assert second["others"] == []
    assert lab.alias("get-api-document") == {"version": "2", "weights": {}}
    assert lab.alias("answer-preflight") == {"version": "1", "weights": {}}

    back = lab.run("rollback")
    assert back["moved"] == [{"function": "get-api-document", "before": "2", "after": "1"}]
    assert lab.alias("get-api-document") == {"version": "1", "weights": {}}
    after = lab.run(*DEPLOY)
    assert (after["result"], after["held"]) == ("nothing-to-do", {"get-api-document": "1"})


@dataclass(frozen=True)
class Registry:
    """The emulator's ECR, to which the engine pushes."""

    engine: Engine
    emulator: emulators.Emulator
    built: list[str]

    def push(self, function: str, handler: str) -> str:
        """Builds and pushes an image with this handler; returns its reference by digest."""
        repository = f"{LOOPBACK}:{self.emulator.port}/darkroom/{function}"
        image, _ = self.engine.client.images.build(
            fileobj=context(handler), custom_context=True, rm=True, labels=self.engine.labels
        )
        image.tag(repository, "trial")
        lines = self.engine.client.images.push(
            repository, "trial", stream=True, decode=True,
            auth_config={"username": "AWS", "password": "unused"},
        )  # fmt: skip
        (digest,) = [line["aux"]["Digest"] for line in lines if "Digest" in line.get("aux", {})]
        self.built.append(image.id)
        return f"{repository}@{digest}"


def remove(engine: Engine, images: list[str]) -> None:
    """Removes images, once the emulator's containers have exited."""
    for image in images:
        with suppress(ImageNotFound):
            engine.client.images.remove(image, force=True)


def context(handler: str) -> io.BytesIO:
    """A build context with a Dockerfile and a handler."""
    files = {"handler.py": handler, "Dockerfile": DOCKERFILE}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    packed.seek(0)
    return packed


DOCKERFILE = f'FROM {BASE}\nCOPY handler.py /var/task/\nCMD ["handler.handler"]\n'


@pytest.mark.containers
def test_image_that_does_not_start_gets_no_traffic(tmp_path: Path) -> None:
    engine = Engine.required()
    with ExitStack() as stack:
        built: list[str] = []
        stack.callback(remove, engine, built)
        lab = stack.enter_context(trial(tmp_path, engine=True))
        registry = Registry(engine, lab.emulator, built)
        ecr = LocalSession(lab.emulator.endpoint).client("ecr")
        for name in FUNCTIONS:
            ecr.create_repository(repositoryName=f"darkroom/{name}")
        lab.images(
            get_api_document=registry.push("get-api-document", ANSWERS % "one"),
            answer_preflight=registry.push("answer-preflight", ANSWERS % "one"),
        )
        lab.run(*DEPLOY)
        assert call(lab, "get-api-document") == "one"

        lab.images(
            get_api_document=registry.push("get-api-document", DOES_NOT_START),
            answer_preflight=registry.push("answer-preflight", ANSWERS % "two"),
        )
        bad = lab.run(*DEPLOY, code=1)
        assert bad["result"] == "taken-back"
        assert "darkroom-get-api-document" in bad["reason"]
        for name in FUNCTIONS:
            assert lab.alias(name) == {"version": "1", "weights": {}}
            assert [call(lab, name) for _ in range(20)] == ["one"] * 20

        lab.images(get_api_document=registry.push("get-api-document", ANSWERS % "three"))
        cure = lab.run(*DEPLOY)
        assert [m["function"] for m in cure["moved"]] == ["get-api-document"]
        assert cure["held"] == {"answer-preflight": "1"}
        assert call(lab, "get-api-document") == "three"
        assert lab.run(*DEPLOY)["result"] == "nothing-to-do"


def call(lab: Trial, function: str) -> str:
    """The response of the function behind `live`."""
    answer = (
        LocalSession(lab.emulator.endpoint)
        .client("lambda")
        .invoke(FunctionName=f"darkroom-{function}", Qualifier="live", Payload=b"{}")
    )
    return str(json.load(answer["Payload"])["says"])
