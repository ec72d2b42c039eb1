"""Settings that workers and the gateway share: environment variables, and fields of a JSON file.

Endpoint, region and credentials of AWS are not here: botocore reads its own AWS_* variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.platform import manifest as manifests
from services.platform.configuration import read, variable
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest
from services.runtime.function import Function

# A process beyond this concurrency is split into several containers.
MAX_CONCURRENCY = 256
DEFAULT_IDLE_SECONDS = 300
MAX_IDLE_SECONDS = 86_400
INIT_SECONDS_RANGE = (1, 900)

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessConfiguration:
    """Settings of every process that hosts functions. See `help` of each field; whole seconds."""

    drain_seconds: int = variable(
        "WORKER_DRAIN_SECONDS",
        default=25,
        minimum=0,
        maximum=3600,
        help="time after SIGTERM for running invocations to finish (ECS kills after 30 s)",
    )
    init_seconds: int = variable(
        "WORKER_INIT_SECONDS",
        default=10,
        minimum=INIT_SECONDS_RANGE[0],
        maximum=INIT_SECONDS_RANGE[1],
        help="time for an execution environment to start",
    )
    health_file: Path | None = variable(
        "WORKER_HEALTH_FILE",
        default=None,
        help="touched every second while the worker is healthy, for `health`",
    )
    status_file: Path | None = variable(
        "WORKER_STATUS_FILE",
        default=None,
        help="JSON about each function: environments, invocations, failures, last error",
    )
    template_fd: int | None = variable(
        "WORKER_TEMPLATE_FD",
        default=None,
        minimum=3,
        help="descriptor of a socket to a template, which forks environments (in a lab)",
    )


@dataclass(frozen=True)
class FunctionConfiguration(ProcessConfiguration):
    """Settings of a process that hosts one function."""

    function_name: str | None = variable(
        "WORKER_FUNCTION_NAME",
        default=None,
        help="the function's name where its folder has another (in an image: /var/task)",
    )
    concurrency: int = variable(
        "WORKER_CONCURRENCY",
        default=1,
        minimum=1,
        maximum=MAX_CONCURRENCY,
        help="execution environments; each handles one event at a time",
    )


class Fields:
    """Reads a JSON document field by field and collects every mistake.

    `where` precedes the names of fields in the mistakes ("functions[2].").
    """

    def __init__(self, document: Mapping[str, Any], mistakes: list[str], where: str = "") -> None:
        self._document = document
        self._where = where
        self.mistakes = mistakes

    @property
    def label(self) -> str:
        """Where the document is in its file ("functions[2]"); empty for the whole file."""
        return self._where.removesuffix(".")

    def get(self, name: str) -> Any:
        """A field's value as it was decoded; None where the field is missing."""
        return self._document.get(name)

    def only(self, *names: str) -> None:
        """Reports fields other than `names`."""
        for key in sorted(self._document.keys() - set(names)):
            self.mistakes.append(f"{self._where}{key} is not a known field")

    def integer(self, name: str, allowed: tuple[int, int], default: int) -> int:
        """A whole number within `allowed`, both ends included."""
        value = self._document.get(name, default)
        if type(value) is not int or not allowed[0] <= value <= allowed[1]:
            self.mistakes.append(
                f"{self._where}{name} must be a whole number {allowed[0]}..{allowed[1]}, "
                f"got {value!r:.100}"
            )
            return default
        return value

    def text(self, name: str, default: str | None, expected: str = "a text") -> str:
        """A text that is not empty; required when `default` is None."""
        value = self._document.get(name, default)
        if not isinstance(value, str) or not value:
            self.mistakes.append(f"{self._where}{name} must be {expected}, got {value!r:.100}")
            return default or ""
        return value

    def path(self, name: str) -> Path | None:
        """A path, or None where the field is missing."""
        return Path(self.text(name, None, "a path")) if name in self._document else None

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts; empty where the field is missing."""
        value = self._document.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            self.mistakes.append(f"{self._where}{name} must be an object of texts")
            return {}
        return value

    def entries(self, name: str) -> list[Fields]:
        """A list of at least one object, each with a text `folder`."""
        value = self._document.get(name)
        if not isinstance(value, list) or not value:
            self.mistakes.append(
                f"{name} must be a list of at least one function, got {value!r:.100}"
            )
            return []
        found = []
        for n, entry in enumerate(value):
            if isinstance(entry, dict) and isinstance(entry.get("folder"), str):
                found.append(Fields(entry, self.mistakes, f"{name}[{n}]."))
            else:
                self.mistakes.append(
                    f"{name}[{n}] must be an object with a folder, got {entry!r:.100}"
                )
        return found


def read_document(path: Path, mistakes: list[str]) -> Fields:
    """The JSON object in a file; empty, with a mistake reported, when it cannot be read."""
    document: Any = {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"expected a configuration file: {error}")
    except (ValueError, RecursionError) as error:
        mistakes.append(f"expected JSON: {error}")
    if not isinstance(document, dict):
        mistakes.append(f"expected an object, got {type(document).__name__}")
        document = {}
    return Fields(document, mistakes)


def read_variables(cls: type[T], environ: Mapping[str, str], mistakes: list[str]) -> T | None:
    """An instance of `cls` from environment variables; None, with mistakes reported, otherwise."""
    try:
        return read(cls, environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
        return None


def read_manifest(folder: Path, mistakes: list[str]) -> Manifest | None:
    """The manifest in a function's folder; None, with a mistake reported, when it is invalid."""
    if not (folder / "handler.py").is_file():
        mistakes.append(f"{folder} must hold a handler.py")
    try:
        return manifests.load(folder.resolve())
    except ConfigurationError as error:
        mistakes.append(str(error))
        return None


def read_region(
    environ: Mapping[str, str], variables: Mapping[str, str], mistakes: list[str], where: str = ""
) -> str:
    """The AWS region of a function with `variables` of its own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := variables.get(name) or environ.get(name):
            return region
    mistakes.append(f"AWS_REGION is not set{where}")
    return ""


def make_function(
    manifest: Manifest,
    name: str,
    arn: str,
    init_seconds: int,
    environ: Mapping[str, str],
    defaults: Mapping[str, str],
    variables: Mapping[str, str],
) -> Function:
    """A function to host. `defaults` apply where neither the process nor `variables` set them."""
    missing = {k: v for k, v in defaults.items() if not variables.get(k) and not environ.get(k)}
    return Function(
        name=name,
        folder=manifest.folder,
        memory_mib=manifest.memory_mib,
        timeout_seconds=manifest.timeout_seconds,
        arn=arn,
        init_seconds=init_seconds,
        variables={**missing, **variables},
    )
