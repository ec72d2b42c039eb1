"""`python -m services.worker`: runs function images without Lambda."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from services.gateway import configuration as http
from services.platform import manifest as manifests
from services.platform.errors import ConfigurationError
from services.runtime import health, output
from services.runtime.configuration import MAX_CONCURRENCY, ProcessConfiguration
from services.runtime.exit_codes import ExitCode
from services.worker import configuration, supervisor

_PLAN = """\
  {"environments": 4, "idle_seconds": 300, "init_seconds": 10, "poll_wait_seconds": 20,
   "status_file": "FILE", "metrics_port": 9464,
   "functions": [{"folder": "images/NAME", "environment": {"K": "V"}, "concurrency": 1,
                  "queue_url": "URL", "dead_letter_queue_url": "URL"}]}
  `functions`, and `folder` and `queue_url` of each, are required.
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Runs the command line."""
    options = _parser().parse_args(arguments)
    output.configure_logging(output.level(environ))
    if options.command == "health":
        return _health(environ)
    overrides = {} if options.concurrency is None else {"WORKER_CONCURRENCY": options.concurrency}
    environ = {**environ, **overrides}
    folders = options.function or [Path(environ.get("LAMBDA_TASK_ROOT") or ".")]
    try:
        if options.host is not None:
            plan = configuration.from_file(options.host, environ)
        elif len(folders) > 1:
            plan = configuration.several(folders, environ)
        elif _serves_http(folders[0]):
            # Only here: a queue's worker needs no HTTP server.
            from services.gateway import server

            return server.run(http.single(folders[0], environ), "worker_started")
        else:
            plan = configuration.single(folders[0], environ)
    except ConfigurationError as error:
        output.logger().error("configuration_invalid", mistakes=error.mistakes)
        return ExitCode.CONFIGURATION
    return supervisor.run(supervisor.Worker(plan))


def _serves_http(folder: Path) -> bool:
    """Whether the function has a route or is the authorizer, and has no queue."""
    try:
        manifest = manifests.load(folder.resolve())
    except ConfigurationError:
        return False  # reported when the configuration is read
    return manifest.queue is None and (manifest.http is not None or manifest.authorizer is not None)


def _health(environ: Mapping[str, str]) -> ExitCode:
    file = environ.get("WORKER_HEALTH_FILE", "").strip()
    if not file:
        output.logger().error("configuration_invalid", mistakes=["WORKER_HEALTH_FILE is not set"])
        return ExitCode.CONFIGURATION
    return ExitCode.DRAINED if health.fresh(Path(file)) else ExitCode.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker",
        description="Runs functions without Lambda, by the same contract: processes the messages "
        "of their queues, or serves the route of one function.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="environment variables of one function with a queue:\n"
        f"{_variables(configuration.Configuration)}\n\n"
        f"of one function with a route, or the authorizer:\n{_variables(http.Configuration)}\n\n"
        f"of many functions:\n{_variables(configuration.HostConfiguration)}\n"
        "  WORKER_QUEUE_URL_<NAME>, WORKER_DEAD_LETTER_QUEUE_URL_<NAME>  for each --function\n\n"
        f"PLAN.json:\n{_PLAN}\n"
        "exit status:\n  0  drained\n  1  failed (health: not healthy)\n  2  wrong configuration\n"
        "  3  stopped with messages unprocessed, which are back in the queue",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "health"),
        default="run",
        help="run the worker (default), or report by the exit status whether one is healthy",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--function",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="holds handler.py and function.yaml; repeat it to host many functions in one process, "
        "with environments on demand (default: LAMBDA_TASK_ROOT, else the current folder)",
    )
    source.add_argument(
        "--host",
        type=Path,
        metavar="PLAN.json",
        help="hosts the functions in the file, each with its own environment variables",
    )
    parser.add_argument(
        "--concurrency",
        metavar="N",
        help=f"execution environments, 1..{MAX_CONCURRENCY} (default: WORKER_CONCURRENCY or 1)",
    )
    return parser


def _variables(cls: type[ProcessConfiguration]) -> str:
    lines = [
        f"  {declared.name:30} {declared.help}"
        + (f" ({declared.default})" if isinstance(declared.default, int) else "")
        for declared in (item.metadata["variable"] for item in fields(cls))
    ]
    lines.append("  AWS_REGION, AWS_ENDPOINT_URL, ...  as for every AWS SDK")
    return "\n".join(lines)


if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    # After a forced stop threads may still wait for the network; output is not buffered.
    os._exit(code)
