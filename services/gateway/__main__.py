"""`python -m services.gateway CONFIG.json`: all HTTP functions of a lab, on one port."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.gateway import server
from services.gateway.configuration import gateway
from services.platform.errors import ConfigurationError
from services.runtime import output
from services.runtime.exit_codes import ExitCode


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m services.gateway",
        description="Serves HTTP functions as an API Gateway HTTP API does.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
CONFIG.json:
  {"host": "127.0.0.1", "port": 8080,
   "functions": [{"folder": "images/NAME", "environment": {"K": "V"}, "concurrency": 4}],
   "throttle": {"requests_per_second": 500, "burst": 1000}, "idle_seconds": 300,
   "site": "FOLDER", "site_origins": ["http://127.0.0.1:4566"], "stripe_publishable_key": null,
   "events": {"queue_url": "URL", "heartbeat_seconds": 15}}

Routes and the authorizer come from each folder's function.yaml; port 0 takes a free port, and the
line "gateway_started" has the address. `site` is a web page's folder, `site_origins` where it
exchanges photos. With `stripe_publishable_key` the page has Stripe's form. With `events`, an
SQS queue that subscribes to topics, there is an event stream: GET /events. `functions` is required,
and `folder` of each.

exit status:
  0  drained    1  failed    2  wrong configuration    3  stopped with requests unfinished""",
    )
    parser.add_argument("configuration", type=Path, metavar="CONFIG.json")
    options = parser.parse_args(arguments)
    output.configure_logging(output.level(environ))
    try:
        plan = gateway(options.configuration, environ)
    except ConfigurationError as error:
        output.logger().error("configuration_invalid", mistakes=error.mistakes)
        return ExitCode.CONFIGURATION
    return server.run(plan, "gateway_started")


if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    # Threads that still wait for an environment, after a stop by force, must not delay the end; all
    # that is written is written through.
    os._exit(code)
