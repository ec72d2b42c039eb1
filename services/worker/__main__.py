"""`python -m services.worker`: runs one function image without Lambda."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from services.platform.errors import ConfigurationError
from services.worker import health, host, output
from services.worker.configuration import MAX_CONCURRENCY, Configuration
from services.worker.exit_codes import ExitCode


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Runs the command line."""
    options = _parser(environ).parse_args(arguments)
    # A function's LOG_LEVEL and the worker's are one and the same variable.
    level = environ.get("LOG_LEVEL", "info").lower()
    output.configure_logging(level if level in output.LEVELS else "info")
    if options.command == "health":
        return _health(environ)
    overrides = {} if options.concurrency is None else {"WORKER_CONCURRENCY": options.concurrency}
    try:
        worker = host.assemble(options.function, {**environ, **overrides})
    except ConfigurationError as error:
        output.logger().error("configuration", mistakes=error.mistakes)
        return ExitCode.CONFIGURATION
    return host.run(worker)


def _health(environ: Mapping[str, str]) -> ExitCode:
    file = environ.get("WORKER_HEALTH_FILE", "").strip()
    if not file:
        output.logger().error("configuration", mistakes=["WORKER_HEALTH_FILE is not set"])
        return ExitCode.CONFIGURATION
    return ExitCode.DRAINED if health.fresh(Path(file)) else ExitCode.FAILED


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker",
        description="Runs a function image as an SQS worker: the same contract as on Lambda.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"environment variables:\n{_variables()}\n\n"
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


def _variables() -> str:
    lines = [
        f"  {declared.name:30} {declared.help}"
        + (f" ({declared.default})" if isinstance(declared.default, int) else "")
        for declared in (item.metadata["variable"] for item in fields(Configuration))
    ]
    lines.append("  AWS_REGION, AWS_ENDPOINT_URL, ...  as for every AWS SDK")
    return "\n".join(lines)


if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    # Threads that still wait for the network, after a stop by force, must not delay the end; all
    # that is written is written through.
    os._exit(code)
