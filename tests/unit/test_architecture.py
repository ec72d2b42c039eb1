"""What a handler loads, and what the sources must not have.

Import contracts between the packages stand in pyproject.toml; `make lint` checks them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.build.openapi import placeholder_environment
from services.platform import manifest
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 450


@pytest.mark.parametrize("folder", ["services", "tests", "images", "docs", "benchmarks"])
def test_no_module_is_longer_than_a_reader_can_hold(folder: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}


def test_http_servers_send_without_delay() -> None:
    # Head and body are two packets: by default the second one waits up to 40 ms.
    servers = {
        str(path.relative_to(ROOT)): text.count("disable_nagle_algorithm = True")
        == text.count("(BaseHTTPRequestHandler)")
        for path in sorted((ROOT / "services").rglob("*.py"))
        if "(BaseHTTPRequestHandler)" in (text := path.read_text(encoding="utf-8"))
    }
    assert servers
    assert all(servers.values()), servers


# Loads each handler as Lambda does, in a process of its own and with the network forbidden, and
# prints what it loaded. The processes are forks of one that has imported what every handler needs.
_LOAD = """
import json, os, socket, sys, traceback
import botocore.session, msgspec, structlog
def forbidden(*_):
    raise AssertionError("a handler must not use the network while it is imported")
socket.socket.connect = socket.getaddrinfo = forbidden
for line in sys.stdin:
    folder, environment = json.loads(line)
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            import handler
            assert callable(handler.handler)
            answer = {"modules": sorted(sys.modules)}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
        os._exit(0)
    os.wait()
"""
HANDLERS = sorted(path.parent.name for path in ROOT.glob("images/*/handler.py"))


@pytest.fixture(scope="module")
def loaded() -> dict[str, dict[str, Any]]:
    """What importing each handler loaded, or its error."""
    requests = []
    for name in HANDLERS:
        declared = manifest.load(ROOT / "images" / name)
        # Lambda and the worker always hand over credentials; so do the placeholders.
        environment = placeholder_environment(declared) | {"PATH": os.environ["PATH"]}
        requests.append(json.dumps([str(ROOT / "images" / name), environment]))
    done = subprocess.run(
        [sys.executable, "-c", _LOAD],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        input="\n".join(requests),
        capture_output=True,
        text=True,
        timeout=scaled(300),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(HANDLERS, answers, strict=True))


@pytest.mark.parametrize("name", HANDLERS)
def test_importing_a_handler_calls_nothing_and_loads_no_tools(
    name: str, loaded: dict[str, dict[str, Any]]
) -> None:
    assert "error" not in loaded[name], loaded[name]["error"]
    modules = set(loaded[name]["modules"])
    # structlog looks for rich itself, which no image has.
    tools = {"yaml", "numpy", "pytest", "services.local", "services.worker", "services.runtime"}
    assert modules.isdisjoint(tools), f"a handler loads {sorted(modules & tools)}"


# Imports what the handlers import, and prints which of our modules read the environment meanwhile.
_READ = """
import os, sys
from pathlib import Path
from services.runtime.template import load
readers = set()
def spy(mapping, name, original=type(os.environ).__getitem__):
    frame = sys._getframe(1)
    while frame.f_globals["__name__"] in ("os", "_collections_abc"):
        frame = frame.f_back
    readers.add(frame.f_globals["__name__"])
    return original(mapping, name)
type(os.environ).__getitem__ = spy
load([path.parent for path in Path("images").glob("*/handler.py")])
print(*(name for name in readers if name.startswith("services.")))
"""


def test_no_module_reads_the_environment_while_it_is_imported() -> None:
    # A lab forks environments from a process with these modules: theirs are other variables.
    done = subprocess.run(
        [sys.executable, "-c", _READ], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_no_registry_and_no_machine_path_is_committed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.txt", "*.in", "*.toml", "*.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert tracked
    for name in tracked:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--index-url" not in text, name
        assert "file:///" not in text, name
