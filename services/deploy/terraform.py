"""Terraform as a subprocess: one environment of the lab, with timeouts and error messages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.platform.checkout import require_checkout
from services.platform.errors import PermanentError, TransientError

DEFAULT_BINARY = "terraform"
# Creating an Aurora cluster or an RDS instance takes about 15 minutes.
APPLY_SECONDS = 3600
PLAN_SECONDS = 900
READ_SECONDS = 120
# Asked to stop, Terraform ends what runs and writes its state; it is killed only if it does not.
STOP_SECONDS = 300
# `plan -detailed-exitcode`: https://developer.hashicorp.com/terraform/cli/commands/plan
NO_CHANGE, CHANGES = 0, 2
ERROR_CHARACTERS = 3_000
# Their variables are in the same folder, but belong to other root modules.
OTHER_ROOTS = {"registry", "pipeline"}
_BUCKET = re.compile(r"^\s*bucket\s*=", re.MULTILINE)


class TerraformError(TransientError):
    """Terraform failed; its state has what it did until then. The message has Terraform's error."""


@dataclass(frozen=True)
class Terraform:
    """The root module in `lab` with an environment's variables and state.

    Everything that it writes of its own (plugins, which state it uses, plans) is in `work`, a
    folder for each environment, so that one is never applied to another's state.
    """

    lab: Path
    environment: str
    work: Path
    state_bucket: str | None = None
    binary: str = DEFAULT_BINARY
    """Command or path: terraform or tofu."""

    @property
    def log(self) -> Path:
        return self.work / "terraform.log"

    @property
    def _variables(self) -> Path:
        return self.lab.parent / "environments" / f"{self.environment}.tfvars"

    @property
    def _backend(self) -> Path:
        return self.lab.parent / "environments" / f"{self.environment}.s3.tfbackend"

    def init(self) -> None:
        """Connects with the environment's state. Raises TerraformError; PermanentError where there
        is no Terraform, or no such environment."""
        known = sorted({p.stem for p in self._variables.parent.glob("*.tfvars")} - OTHER_ROOTS)
        if not known:
            require_checkout("a deployment")
        if self.environment not in known:
            raise PermanentError(
                f"expected an environment of {', '.join(known) or 'none'} "
                f"(terraform/environments/<name>.tfvars), got {self.environment!r}"
            )
        self.work.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")
        options = ["-input=false", "-reconfigure"]
        if self._backend.is_file():
            if not self.state_bucket and not _BUCKET.search(self._backend.read_text("utf-8")):
                raise PermanentError(
                    f"expected the bucket of the state, in --state-bucket or {self._backend}; "
                    "got none"
                )
            options.append(f"-backend-config={self._backend}")
        if self.state_bucket:
            options.append(f"-backend-config=bucket={self.state_bucket}")
        self._run("init", options, PLAN_SECONDS)

    def outputs(self) -> dict[str, Any]:
        """The lab's outputs, by name; empty before the first apply. Raises TerraformError."""
        found = json.loads(self._run("output", ["-json"], READ_SECONDS))
        return {name: item["value"] for name, item in found.items()}

    def plan(self, **variables: Any) -> dict[str, Any] | None:
        """What an apply with these variables beside the environment's would change, as Terraform's
        JSON; None for nothing. `apply` applies it. Raises TerraformError."""
        self._beside.write_text(json.dumps(variables), encoding="utf-8")
        options = [
            "-input=false", "-detailed-exitcode", "-lock-timeout=60s", *self._variable_files,
            f"-out={self._plan}",
        ]  # fmt: skip
        code = self._call("plan", options, PLAN_SECONDS, allowed=(NO_CHANGE, CHANGES)).returncode
        if code == NO_CHANGE:
            return None
        shown: dict[str, Any] = json.loads(
            self._run("show", ["-json", str(self._plan)], READ_SECONDS)
        )
        return shown

    def apply(self) -> None:
        """Applies the last plan. Raises TerraformError."""
        # The variables once more: a plan does not hold the ephemeral ones.
        options = ["-input=false", "-lock-timeout=60s", *self._variable_files, str(self._plan)]
        self._run("apply", options, APPLY_SECONDS)

    @property
    def _variable_files(self) -> list[str]:
        return [f"-var-file={self._variables}", f"-var-file={self._beside}"]

    @property
    def _beside(self) -> Path:
        return self.work / "deploy.tfvars.json"

    @property
    def _plan(self) -> Path:
        return self.work / "deploy.tfplan"

    def _run(self, command: str, options: Sequence[str], seconds: float) -> str:
        return str(self._call(command, options, seconds).stdout)

    def _call(
        self,
        command: str,
        options: Sequence[str],
        seconds: float,
        allowed: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[str]:
        if shutil.which(self.binary) is None:
            raise PermanentError(
                f"command {self.binary!r} not found: install Terraform 1.11 or newer "
                "(https://developer.hashicorp.com/terraform/install), or name OpenTofu's command "
                "with --terraform tofu"
            )
        # A session of its own, so that a Ctrl-C here does not reach it in the middle of an apply.
        reads = command in ("output", "show")
        colours = [] if reads else ["-no-color"]
        process = subprocess.Popen(
            [self.binary, f"-chdir={self.lab}", command, *colours, *options],
            env=_environment(os.environ, self.work / "data"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _stop(process)
            raise TerraformError(
                f"terraform {command} did not end in {seconds:g} s, and was stopped: {self.log}"
            ) from None
        except BaseException:
            _stop(process)
            raise
        self._note(command, "" if reads else out, err)
        if process.returncode not in allowed:
            error_text = (err.strip() or out.strip())[-ERROR_CHARACTERS:]
            raise TerraformError(
                f"terraform {command} ended with {process.returncode} ({self.log}):\n{error_text}"
            )
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _note(self, command: str, out: str, err: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"== terraform {command}\n{out}{err}\n")


def _environment(environ: Mapping[str, str], data: Path) -> dict[str, str]:
    kept = {**environ, "TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    # Terraform complains at every command of a configuration file that is not there.
    named = kept.get("TF_CLI_CONFIG_FILE")
    if named and not Path(named).is_file():
        del kept["TF_CLI_CONFIG_FILE"]
    return kept


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
