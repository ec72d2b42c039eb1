"""Dependencies point one way: images -> services/<capability> -> services/platform."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.build.openapi import placeholder_environment
from services.platform import manifest

ROOT = Path(__file__).resolve().parents[2]
CAPABILITIES = {
    "accounts",
    "api",
    "catalog",
    "events",
    "mail",
    "orders",
    "payments",
    "printing",
    "schema",
}

# What the modules of each package may import of ours. A package that is not named here fails.
MAY_IMPORT = {
    "imaging": set(),
    "platform": set(),
    "api": {"platform"},
    "schema": {"platform"},
    "accounts": {"platform"},
    "events": {"platform"},
    "catalog": {"events", "imaging", "platform"},
    "mail": {"events", "orders", "platform"},
    "orders": {"catalog", "events", "imaging", "payments", "platform", "printing"},
    "payments": {"platform"},
    "printing": {"imaging"},
    "runtime": {"platform"},
    "gateway": {"platform", "runtime", "worker"},
    "worker": {"gateway", "platform", "runtime"},
    "client": {"platform"},
    "build": {"platform"},
    "local": {
        "catalog",
        "client",
        "events",
        "mail",
        "operations",
        "orders",
        "payments",
        "platform",
        "runtime",
    }
    | {"schema"},
    "operations": {"accounts", "catalog", "events", "local", "mail", "orders", "platform"},
    "deploy": {"local", "operations", "platform"},
    "load_test": {"build", "catalog", "events", "local", "mail", "operations", "platform"},
    "cli": {"accounts", "build", "client", "deploy", "load_test", "local", "operations", "orders"}
    | {"platform", "schema"},
    "images": CAPABILITIES | {"imaging", "platform"},
}


def imported_packages(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if node.module == "services":
                names = [f"services.{alias.name}" for alias in node.names]
            else:
                names = [node.module or ""]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("services."))


def sources() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "services").rglob("*.py")):
        inside = path.relative_to(ROOT / "services")
        if inside.name != "__init__.py" or len(inside.parts) > 1:
            yield inside.parts[0].removesuffix(".py"), path
    for path in sorted((ROOT / "images").rglob("*.py")):
        yield "images", path


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(n, p, id=str(p.relative_to(ROOT))) for n, p in sources()]
)
def test_imports_point_one_way(package: str, path: Path) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = set(imported_packages(path)) - allowed
    assert not wrong, f"{package} may import {sorted(allowed)}, and imports {sorted(wrong)}"


def test_the_import_reader_sees_every_form() -> None:
    probe = ROOT / "services" / "cli" / "database.py"
    assert {"local", "platform", "schema"} <= set(imported_packages(probe))


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
