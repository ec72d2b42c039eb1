"""Runs the commands of a page of the documentation, as its readers would.

Beside Terraform and `darkroom`, a page uses commands that need an account or a registry. A folder
before PATH replaces them: `aws s3 cp` and `aws s3 ls` by boto3, `make push` by the file that it
writes, and `darkroom` by the checkout's command with a state folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.local.state import PROJECT
from tests.infrastructure.terraform import BINARY, TIMEOUT_SECONDS, Terraform, delayed
from tests.support.waiting import scaled

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AWS = """
import sys
import boto3
s3 = boto3.client("s3")
match sys.argv[1:]:
    case ["s3", "cp", file, target]:
        bucket, _, key = target.removeprefix("s3://").partition("/")
        s3.put_object(Bucket=bucket, Key=key, Body=open(file, "rb"), ContentType="image/jpeg")
    case ["s3", "ls", "--recursive", target]:
        bucket, _, prefix = target.removeprefix("s3://").partition("/")
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        print("\\n".join(item["Key"] for item in found))
    case other:
        sys.exit(f"expected aws s3 cp or aws s3 ls --recursive, got {other}")
"""
MAKE = """
import json, sys
from pathlib import Path
from services.build.images import chosen
from services.platform.manifest import parse_features
from tests.infrastructure.terraform import images
*targets, features, registry = sys.argv[1:]
assert targets == ["images", "push"] and registry.startswith("REGISTRY="), sys.argv
functions = chosen((), parse_features(features.removeprefix("FEATURES=")))
text = json.dumps({"image_digests": images([function.name for function in functions])})
Path("terraform/lab/images.auto.tfvars.json").write_text(text)
"""
DARKROOM = """
import sys
from pathlib import Path
from services.cli import backfill, main
backfill.state_folder = lambda: Path.cwd() / "state"
sys.exit(main.main())
"""


def sections(page: Path) -> dict[str, list[list[str]]]:
    """The commands of each code block, by the section's heading."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading] = [block.splitlines() for block in _BLOCK.findall(text)]
    return found


@dataclass(frozen=True)
class PageCommands(Terraform):
    """A reader of a page in the copied tree. `names` replaces the page's placeholders."""

    names: Mapping[str, str]

    def run(self, command: str) -> str:
        """Runs a command of the page; its output. Fails the test if the command fails."""
        for placeholder, name in self.names.items():
            command = command.replace(placeholder, name)
        assert not re.search(r"<\w+>", command), f"a placeholder without a name: {command}"
        with delayed(self.aws) as aws:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.tree, env=self._reader_environment(aws), input="y\n", text=True,
                capture_output=True, check=False, timeout=scaled(TIMEOUT_SECONDS),
            )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def _reader_environment(self, aws: Mapping[str, str]) -> dict[str, str]:
        commands = self.tree / "bin"
        if not commands.is_dir():
            commands.mkdir()
            for name, code in (("aws", AWS), ("make", MAKE), ("darkroom", DARKROOM)):
                _script(commands / name, f"#!{sys.executable}\n{code}")
            _script(commands / "terraform", f'#!/bin/sh\nexec {_binary()} "$@"\n')
        values = {
            f"TF_VAR_{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self.variables.items()
            if name != "image_digests"
        }
        return {
            **self._environment(aws),
            **values,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "TF_CLI_ARGS_apply": "-auto-approve -input=false",
        }


def _binary() -> str:
    """The path of Terraform's command, which a script of that name must not find again."""
    done = subprocess.run(
        ["bash", "-c", 'command -v "$1"', "bash", BINARY],
        capture_output=True, text=True, check=True, timeout=scaled(10),
    )  # fmt: skip
    return done.stdout.strip()


def _script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
