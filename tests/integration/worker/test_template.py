"""Environments forked from a template, and how they resemble those of a process of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.runtime.execution import Environment, Invocation, Outcome
from services.runtime.forked import TemplateClient, forkable
from services.runtime.function import ROOT, Function
from tests.integration.worker.support import write_function
from tests.support.waiting import scaled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")

HANDLER = """
    import base64, colorsys, json, os, resource, signal, subprocess, sys

    def handler(event, context):
        if event == "facts":
            return {
                "variables": {**os.environ, "AWS_LAMBDA_RUNTIME_API": "", "_X_AMZN_TRACE_ID": ""},
                "folder": os.getcwd(),
                "arguments": sys.argv,
                "path": list(dict.fromkeys(sys.path)),
                "files": sorted(
                    os.readlink(f"/proc/self/fd/{n}").split(":")[0]
                    for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")
                ),
                "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
                "memory": resource.getrlimit(resource.RLIMIT_DATA),
                "signals": [str(signal.getsignal(n)) for n in (signal.SIGCHLD, signal.SIGPIPE)],
            }
        if event == "exit":
            os._exit(7)
        if event == "kill":
            os.kill(os.getpid(), 9)
        if event == "child":
            return subprocess.Popen(["sleep", "600"]).pid
        print("a line of", event)
        return os.getppid()
"""

Begin = Callable[..., Environment]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_function(tmp_path / "function", HANDLER)


@pytest.fixture
def start_template(folder: Path) -> Iterator[Callable[..., tuple[TemplateClient, int]]]:
    """Starts a template. Returns what asks it for environments, and its process id."""
    templates: list[tuple[TemplateClient, subprocess.Popen[bytes]]] = []

    def start(*command: str) -> tuple[TemplateClient, int]:
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = command or ("-m", "services.runtime.template", str(folder), "--socket")
        with its:
            template = subprocess.Popen(
                [sys.executable, *arguments, str(its.fileno())], cwd=ROOT, pass_fds=[its.fileno()]
            )
        client = TemplateClient(own.detach())
        templates.append((client, template))
        return client, template.pid

    yield start
    for client, template in templates:
        client.close()
        template.kill()
        template.wait()


@pytest.fixture
def begin(folder: Path) -> Iterator[Begin]:
    """Starts an environment, from a template if one is given."""
    begun: list[Environment] = []

    def start(template: TemplateClient | None = None, **variables: str) -> Environment:
        function = Function("function", folder, 256, 60, "arn", int(scaled(60)), variables)
        environment = Environment(function, template=template)
        begun.append(environment)
        environment.start()
        return environment

    yield start
    for environment in begun:
        environment.close()


def invoke(environment: Environment, event: str) -> Invocation:
    assert environment.ready()
    return environment.invoke(json.dumps(event).encode())


def result(environment: Environment, event: str) -> Any:
    return json.loads(invoke(environment, event).payload)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_forked_environment_is_like_a_process_from_the_start(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin
) -> None:
    template, pid = start_template()
    forked, started = begin(template, COLOUR="red"), begin(COLOUR="red")
    assert (parent(forked.pid), parent(started.pid)) == (pid, os.getpid())
    one, other = result(forked, "facts"), result(started, "facts")
    for name, value in other.items():
        assert one[name] == value, name


def test_output_of_a_forked_environment_is_logged(
    start_template: Callable[..., tuple[TemplateClient, int]],
    begin: Begin,
    capfd: pytest.CaptureFixture[str],
) -> None:
    environment = begin(start_template()[0])
    invocation = invoke(environment, "this event")
    environment.close()
    lines = [line for line in capfd.readouterr().out.splitlines() if "a line of" in line]
    assert len(lines) == 1
    assert "this event" in lines[0]
    assert invocation.request_id in lines[0]


@pytest.mark.parametrize(
    ("event", "message"), [("exit", "exit status 7"), ("kill", "signal: SIGKILL")]
)
def test_the_end_of_a_forked_environment_is_told_with_its_cause(
    start_template: Callable[..., tuple[TemplateClient, int]],
    begin: Begin,
    event: str,
    message: str,
) -> None:
    environment = begin(start_template()[0])
    invocation = invoke(environment, event)
    assert invocation.outcome is Outcome.EXIT
    assert message in invocation.error_message
    assert not environment.ready()


def test_children_of_a_forked_environment_end_with_it(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin
) -> None:
    environment = begin(start_template()[0])
    child = result(environment, "child")
    assert invoke(environment, "exit").outcome is Outcome.EXIT
    _await_end(child)


def test_a_number_is_not_free_before_the_environment_is_closed(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin
) -> None:
    environment = begin(start_template()[0])
    pid = environment.pid
    assert invoke(environment, "exit").outcome is Outcome.EXIT
    assert _state(pid) == "Z"
    environment.close()
    _await_end(pid)


def test_environments_end_with_their_template_and_start_by_themselves_then(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin
) -> None:
    template, pid = start_template()
    first = begin(template)
    assert result(first, "hello") == pid
    os.kill(pid, signal.SIGKILL)
    _await_end(first.pid, stopped=lambda: not first.ready())
    assert not first.ready()
    assert result(begin(template), "hello") == os.getpid()


def test_a_template_with_changed_sources_forks_no_more(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin, tmp_path: Path
) -> None:
    source = tmp_path / "source.py"
    source.touch()
    code = """if True:
        import pathlib, socket, sys
        from services.runtime.template import Template
        requests = [socket.socket(fileno=int(sys.argv[2]))]
        template = Template(requests, {pathlib.Path(sys.argv[1]): 1})
        template.run().become()
    """
    template, _ = start_template("-c", code, str(source))
    assert result(begin(template), "hello") == os.getpid()


def test_a_function_with_settings_of_the_interpreter_is_not_forked(
    start_template: Callable[..., tuple[TemplateClient, int]], begin: Begin
) -> None:
    environment = begin(start_template()[0], PYTHONHASHSEED="1")
    assert result(environment, "hello") == os.getpid()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LD_PRELOAD", False),
        ("MALLOC_ARENA_MAX", False),
        ("MALLOC_TRIM_THRESHOLD_", True),
        ("TABLE", True),
    ],
)
def test_only_variables_that_a_fork_can_take_over_allow_it(name: str, expected: bool) -> None:
    assert forkable({name: "1"}) is expected


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _await_end(pid: int, stopped: Callable[[], bool] = lambda: False) -> None:
    give_up_at = time.monotonic() + scaled(10)
    while _state(pid) not in ("", "Z") or (_state(pid) == "Z" and parent(pid) == os.getpid()):
        if stopped() and not _state(pid):
            return
        assert time.monotonic() < give_up_at, f"process {pid} is still there"
        time.sleep(0.01)
