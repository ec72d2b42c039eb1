"""A function as the runtime needs it, and the environment variables of its processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HANDLER = "handler.handler"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Function:
    """The handler's folder and its limits, as the manifest declares them. `variables` are added to
    the process's own environment variables."""

    name: str
    folder: Path
    memory_mib: int
    timeout_seconds: int
    arn: str
    init_seconds: int
    variables: Mapping[str, str]


def environment_variables(function: Function, runtime_api: str) -> dict[str, str]:
    """Variables of an environment's process: the worker's own, the function's, and Lambda's.

    `runtime_api` is host:port of the Runtime API.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WORKER_")}
    python_path = [str(function.folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        # JSON lines for what awslambdaric and the root logger print, as Terraform sets on Lambda.
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        **inherited,
        **function.variables,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        # awslambdaric handles SIGTERM while it waits for an event only for 3.12 and later.
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{max(sys.version_info.minor, 12)}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"worker/{os.getpid()}",
        "_HANDLER": HANDLER,
        "LAMBDA_TASK_ROOT": str(function.folder),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(python_path)),
        "PYTHONUNBUFFERED": "1",
    }
