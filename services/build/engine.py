"""The Docker engine, through the docker command, with advice for known failures."""

from __future__ import annotations

import json
import platform
import subprocess
from typing import Any

from rich.console import Console

from services.platform.errors import PermanentError

BASE = "public.ecr.aws/lambda/python:3.13"
# Inherited from a base that docker/standins built.
STANDIN_LABEL = "dev.darkroom.standin"
LOG_TAIL_LINES = 25
console = Console(stderr=True, highlight=False)


def warn(message: str) -> None:
    """Prints one line, never wrapped: it may hold a command to copy."""
    console.print(message, style="red", markup=False, soft_wrap=True)


class ImageError(PermanentError):
    """A build or push failed. The message says what to do."""


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Runs the docker command and gives what it printed. Raises ImageError with its complaint."""
    try:
        done = subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ImageError(
            "found no docker command: install Docker (on Debian: .ci/engine)"
        ) from None
    if done.returncode:
        raise ImageError(explain(f"docker {arguments[0]}", done.stderr.strip() or done.stdout))
    return done.stdout.strip()


def explain(what: str, output: str) -> str:
    """A failure's output, cut to its end, with what to do about the causes that we know."""
    tail = "\n".join(output.splitlines()[-LOG_TAIL_LINES:])
    for sign, advice in (
        ("no space left on device", "the disk is full: `docker system df`, `docker builder prune`"),
        ("exec format error", "the base is for another processor: --platform linux/amd64 or arm64"),
        (
            "buildx component is missing",
            "BuildKit's buildx plugin is missing: .ci/engine, on Debian",
        ),
        ("'buildx' is not a docker command", "the buildx plugin is missing: .ci/engine, on Debian"),
        ("tag is immutable", "this revision was pushed before, with other content: commit first"),
        ("no basic auth credentials", "not logged in to that registry: give --username"),
    ):
        if sign in output.lower():
            return f"{what} failed: {advice}\n{tail}"
    return f"{what} failed:\n{tail}"


def inspect(image: str) -> dict[str, Any] | None:
    """What the engine knows of a local image; None when it has none of that name."""
    try:
        found: list[dict[str, Any]] = json.loads(docker("image", "inspect", image))
    except ImageError as error:
        if "no such image" in str(error).lower():
            return None
        raise
    return found[0]


def require_engine() -> None:
    """Raises ImageError when no engine answers."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except ImageError as error:
        raise ImageError(
            f"no Docker engine answers: start yours, or run .ci/engine on Debian\n{error}"
        ) from None


def require_base(base: str, wanted: str) -> dict[str, Any]:
    """The base image, pulled when it is not there. Raises ImageError when it cannot be had, or is
    for another processor than `wanted` ("linux/arm64")."""
    found = inspect(base)
    if found is None:
        console.print(f"pulling {base} ...")
        try:
            docker("pull", "--quiet", "--platform", wanted, base)
        except ImageError as error:
            raise ImageError(
                f"the base image {base} is not here and cannot be pulled. Where no registry can be "
                f"reached: make standins. Where it wants a login: docker login\n{error}"
            ) from None
        found = inspect(base)
    if found is None:
        raise ImageError(f"expected the image {base} after pulling it, found none")
    if (got := f"{found['Os']}/{found['Architecture']}") != wanted:
        raise ImageError(
            f"expected {base} for {wanted}, got one for {got}: docker pull --platform {wanted} "
            f"{base}, or build with --platform {got}"
        )
    return found


def host_platform() -> str:
    machine = platform.machine().lower()
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
