"""Runs Terraform on a copy of the project's configuration, with a state in the same folder."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.local.emulator import LOOPBACK, REGION
from services.local.state import PROJECT
from tests.support.loopback import Received, Reply, serving
from tests.support.relay import relayed
from tests.support.waiting import scaled

# terraform or tofu.
BINARY = os.environ.get("DARKROOM_TERRAFORM", "terraform")
# An apply of the whole lab takes about two minutes on two cores, mostly the provider's waits.
TIMEOUT_SECONDS = 600
# `plan -detailed-exitcode`: https://developer.hashicorp.com/terraform/cli/commands/plan
NO_CHANGE, CHANGES = 0, 2
BACKEND_FILE = "backend_override.tf"
LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'
# A backend that stores the state now and then, as S3 does. The local one writes the whole file
# after each resource: 216 s of CPU to create 1,000 empty resources, against 145.
HTTP_BACKEND = 'terraform {\n  backend "http" {}\n}\n'
STATE = "state.json"

# Provider 5.100.0 drops a connection when the response arrives before the request is fully written
# (about 4 of 1,200 requests to MiniStack), and retries: the resource then "already exists". With a
# pause of 10 ms none of 6,000 requests was dropped; AWS always responds later than that.
RESPONSE_DELAY_SECONDS = 0.01


@contextmanager
def delayed(aws: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The SDK's variables, with endpoints that delay each response by `RESPONSE_DELAY_SECONDS`."""
    slower = dict(aws)
    with ExitStack() as stack:
        for name, url in aws.items():
            if name.startswith("AWS_ENDPOINT_URL"):
                relay = relayed(urlsplit(url).port or 80, pause_seconds=RESPONSE_DELAY_SECONDS)
                slower[name] = f"http://{LOOPBACK}:{stack.enter_context(relay)}"
        yield slower


@contextmanager
def stored(file: Path) -> Iterator[str]:
    """The URL of a state that is kept in `file`.
    https://developer.hashicorp.com/terraform/language/backend/http"""

    def respond(request: Received) -> Reply:
        if request.method == "POST":
            file.write_bytes(request.body)
            return Reply(HTTPStatus.OK, b"")
        if file.exists():
            return Reply(HTTPStatus.OK, file.read_bytes())
        return Reply(HTTPStatus.NOT_FOUND, b"")

    with serving(respond) as server:
        yield server.url


@functools.cache
def plugin_folder() -> str:
    """The folder of providers that the Makefile finds; empty without one."""
    done = subprocess.run(
        ["make", "--no-print-directory", "terraform-plugins"],
        cwd=PROJECT, capture_output=True, text=True, check=True, timeout=scaled(60),
    )  # fmt: skip
    return done.stdout.strip()


@dataclass(frozen=True)
class Terraform:
    """A root module in a copy of the configuration, which a test may change."""

    tree: Path
    root: str
    variables: Mapping[str, Any]
    aws: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.tree / "terraform" / self.root

    def apply(self, **more: Any) -> None:
        self._run("apply", "-auto-approve", *self._variables(more))

    def destroy(self, *, refresh: bool = True) -> None:
        refreshing = f"-refresh={json.dumps(refresh)}"
        self._run("destroy", "-auto-approve", refreshing, *self._variables({}))

    def plan(self, *, refresh: bool = True, **more: Any) -> dict[str, Any]:
        """The plan as JSON; `refresh` reads the existing resources first.
        https://developer.hashicorp.com/terraform/internals/json-format"""
        file = self.folder / "plan"
        refreshing = f"-refresh={json.dumps(refresh)}"
        self._run("plan", f"-out={file}", refreshing, *self._variables(more))
        document: dict[str, Any] = json.loads(self._run("show", "-json", str(file)))
        return document

    def output_json(self) -> str:
        """What `terraform output -json` prints."""
        return self._run("output", "-json")

    def output(self) -> dict[str, Any]:
        found = json.loads(self.output_json())
        return {name: item["value"] for name, item in found.items()}

    def state(self) -> str:
        """The text of the state, to search it for secrets."""
        return self._run("state", "pull")

    def _variables(self, more: Mapping[str, Any]) -> list[str]:
        """Variables in a file: a command line is too short for them, and visible to others."""
        file = self.folder / "test.tfvars.json"
        file.write_text(json.dumps({**self.variables, **more}), encoding="utf-8")
        return ["-input=false", "-compact-warnings", f"-var-file={file}"]

    def init(self) -> None:
        (self.folder / BACKEND_FILE).write_text(HTTP_BACKEND)
        self._run("init", "-input=false")

    def _run(self, *arguments: str) -> str:
        with delayed(self.aws) as aws, stored(self.folder / STATE) as state_url:
            done = subprocess.run(
                [BINARY, f"-chdir={self.folder}", *arguments],
                env=self._environment(aws) | {"TF_HTTP_ADDRESS": state_url},
                capture_output=True,
                text=True,
                check=False,
                timeout=scaled(TIMEOUT_SECONDS),
            )
        if done.returncode != 0:
            raise AssertionError(
                f"terraform {arguments[0]} of {self.root} exited with {done.returncode}:\n"
                f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
            )
        return done.stdout

    def _environment(self, aws: Mapping[str, str]) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "TF_"))}
        plugins = plugin_folder()
        return {
            **kept,
            **({"TF_CLI_ARGS_init": f"-plugin-dir={plugins}"} if plugins else {}),
            **aws,
            "TF_DATA_DIR": str(self.folder / ".data"),
            "TF_IN_AUTOMATION": "1",
            "NO_COLOR": "1",
            "TF_CLI_ARGS": "-no-color",
            "CHECKPOINT_DISABLE": "1",
        }


def copy(tree: Path) -> Path:
    """Copies what Terraform reads: its configuration and the functions' manifests."""
    ignored = shutil.ignore_patterns(".terraform*", "*.auto.tfvars.json", "terraform.tfstate*")
    shutil.copytree(PROJECT / "terraform", tree / "terraform", ignore=ignored)
    for found in sorted((PROJECT / "images").glob("*/function.yaml")):
        copied = tree / "images" / found.parent.name / found.name
        copied.parent.mkdir(parents=True)
        shutil.copyfile(found, copied)
    for root in ("registry", "lab"):
        (tree / "terraform" / root / BACKEND_FILE).write_text(LOCAL_BACKEND)
    return tree


def root(tree: Path, name: str, aws: Mapping[str, str], variables: Mapping[str, Any]) -> Terraform:
    """The root module `name` of a copied tree, initialised. `aws` are the SDK's variables."""
    made = Terraform(tree, name, {"region": REGION, **variables}, aws)
    made.init()
    return made


def changed(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """The planned actions by address, without unchanged resources."""
    return {
        item["address"]: item["change"]["actions"]
        for item in plan.get("resource_changes", [])
        if item["change"]["actions"] != ["no-op"]
    }


def images(functions: list[str]) -> dict[str, str]:
    """An image reference for each function, in the form that `make push` writes."""
    account = "000000000000.dkr.ecr.us-east-1.amazonaws.com/darkroom"
    return {name: f"{account}/{name}@sha256:{number:064x}" for number, name in enumerate(functions)}
