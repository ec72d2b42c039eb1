"""`python -m services.worker`: runs one function image without Lambda."""

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
from services.runtime import output
from services.runtime.exit_codes import ExitCode
from services.worker import health, supervisor
from services.worker.configuration import MAX_CONCURRENCY, Configuration


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Runs the command line."""
    options = _parser(environ).parse_args(arguments)
    output.configure_logging(output.level(environ))
    if options.command == "health":
        return _health(environ)
    overrides = {} if options.concurrency is None else {"WORKER_CONCURRENCY": options.concurrency}
    environ = {**environ, **overrides}
    try:
        if _serves_http(options.function):
            # Only here: a queue's worker has no use for an HTTP server.
            from services.gateway import server

            return server.run(http.single(options.function, environ), "worker_started")
        worker = supervisor.assemble(options.function, environ)
    except ConfigurationError as error:
        output.logger().error("configuration_invalid", mistakes=error.mistakes)
        return ExitCode.CONFIGURATION
    return supervisor.run(worker)


def _serves_http(folder: Path) -> bool:
    """Whether the function's source is HTTP: it has a route or is the authorizer, and no queue."""
    try:
        manifest = manifests.load(folder.resolve())
    except ConfigurationError:
        return False  # whoever puts the worker together will tell
    return manifest.queue is None and (manifest.http is not None or manifest.authorizer is not None)


def _health(environ: Mapping[str, str]) -> ExitCode:
    file = environ.get("WORKER_HEALTH_FILE", "").strip()
    if not file:
        output.logger().error("configuration_invalid", mistakes=["WORKER_HEALTH_FILE is not set"])
        return ExitCode.CONFIGURATION
    return ExitCode.DRAINED if health.fresh(Path(file)) else ExitCode.FAILED


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker",
        description="Runs a function image without Lambda, by the same contract: it takes its "
        "queue's messages, or serves its route.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"environment variables, with a queue:\n{_variables(Configuration)}\n\n"
        f"with a route, or as the authorizer:\n{_variables(http.Configuration)}\n\n"
        "exit status:\n  0  drained\n  1  failed (health: not healthy)\n  2  wrong configuration\n"
        "  3  stopped with work unfinished, which is back in the queue",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "health"),
        default="run",
        help="run the worker (default), or tell by the exit status whether one is healthy",
    )
    parser.add_argument(
        "--function",
        type=Path,
        default=Path(environ.get("LAMBDA_TASK_ROOT") or "."),
        metavar="FOLDER",
        help="holds handler.py and function.yaml (default: LAMBDA_TASK_ROOT, else here)",
    )
    parser.add_argument(
        "--concurrency",
        metavar="N",
        help=f"execution environments, 1..{MAX_CONCURRENCY} (default: WORKER_CONCURRENCY or 1)",
    )
    return parser


def _variables(configuration: type[Configuration] | type[http.Configuration]) -> str:
    lines = [
        f"  {declared.name:30} {declared.help}"
        + (f" ({declared.default})" if isinstance(declared.default, int) else "")
        for declared in (item.metadata["variable"] for item in fields(configuration))
    ]
    lines.append("  AWS_REGION, AWS_ENDPOINT_URL, ...  as for every AWS SDK")
    return "\n".join(lines)


if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    # Threads that still wait for the network, after a stop by force, must not delay the end; all
    # that is written is written through.
    os._exit(code)
