"""What the start of an execution environment costs: forked from a template, and as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from services.build.openapi import placeholder_environment
from services.local.state import PROJECT
from services.platform import manifest
from services.runtime.execution import Environment
from services.runtime.forked import TemplateClient
from services.runtime.function import Function

# Most functions are like it: a route with SQL, a queue and a workflow.
FUNCTION = PROJECT / "images" / "create-order"
STARTS = 10


@contextmanager
def template() -> Iterator[TemplateClient]:
    """A template that has loaded what all handlers import, as in a lab."""
    folders = [str(path.parent) for path in sorted(PROJECT.glob("images/*/handler.py"))]
    own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "services.runtime.template", "--socket", str(its.fileno())]
    process = subprocess.Popen([*command, *folders], cwd=PROJECT, pass_fds=[its.fileno()])
    its.close()
    client = TemplateClient(own.detach())
    try:
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def measure() -> dict[str, float]:
    """Milliseconds until an environment asks for its first event, the least of STARTS, and the MiB
    that it has for itself."""
    found: dict[str, float] = {}
    with template() as forking:
        _start(forking)  # waits until the template has loaded everything
        for kind, source in (("forked", forking), ("started", None)):
            starts = [_start(source) for _ in range(STARTS)]
            found[f"{kind}_ms"] = min(ms for ms, _ in starts)
            found[f"{kind}_mib"] = min(mib for _, mib in starts)
    return found


def _start(source: TemplateClient | None) -> tuple[float, float]:
    declared = manifest.load(FUNCTION)
    variables = placeholder_environment(declared)
    function = Function(declared.name, FUNCTION, declared.memory_mib, 10, "arn", 60, variables)
    environment = Environment(function, template=source)
    began = time.monotonic()
    try:
        environment.start()
        milliseconds = (time.monotonic() - began) * 1000
        own = psutil.Process(environment.pid).memory_full_info().uss / 2**20
    finally:
        environment.close()
    return milliseconds, own
