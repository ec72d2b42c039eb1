"""What a handler loads, and what the sources must not have.

Import contracts between the packages stand in pyproject.toml; `make lint` checks them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.build.openapi import placeholder_environment
from services.platform import manifest

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 450


@pytest.mark.parametrize("folder", ["services", "tests", "images"])
def test_no_module_is_longer_than_a_reader_can_hold(folder: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}


# Loads a handler as Lambda does, with the network forbidden, and prints what came along.
_LOAD = """
import socket, sys
def forbidden(*_):
    raise AssertionError("a handler must not use the network while it is imported")
socket.socket.connect = socket.getaddrinfo = forbidden
import handler
assert callable(handler.handler)
print("\\n".join(sys.modules))
"""


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in ROOT.glob("images/*/handler.py")))
def test_importing_a_handler_calls_nothing_and_loads_no_tools(folder: str) -> None:
    declared = manifest.load(ROOT / "images" / folder)
    # Lambda and the worker always hand over credentials; so do the placeholders.
    environment = placeholder_environment(declared)
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD],
        cwd=ROOT / "images" / folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    modules = set(loaded.stdout.split())
    # structlog looks for rich itself, which no image has.
    tools = {"yaml", "numpy", "pytest", "services.local", "services.worker", "services.runtime"}
    assert modules.isdisjoint(tools), f"a handler loads {sorted(modules & tools)}"


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
