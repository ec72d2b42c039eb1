"""The declared dependencies, the pins that `make setup` installs, and the wheel agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]


def external(requirements: list[str]) -> list[Requirement]:
    """The requirements except this project's own extras."""
    parsed = [Requirement(text) for text in requirements]
    return [requirement for requirement in parsed if requirement.name != "darkroom"]


def read_requirements(path: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def read_pins(path: Path) -> dict[str, set[Version]]:
    """Each package's pinned versions: several where environment markers choose one."""
    pins: dict[str, set[Version]] = {}
    for name, version in re.findall(
        r"^([a-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.M
    ):
        pins.setdefault(canonicalize_name(name), set()).add(Version(version))
    return pins


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_setup_pins_each_declared_requirement(extra: str) -> None:
    pins = read_pins(ROOT / "requirements" / "dev.txt")
    for requirement in external(EXTRAS[extra]):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is missing in requirements/dev.txt: run make requirements"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_dev_extra_contains_every_other_extra() -> None:
    reached: set[str] = set()
    pending = ["dev"]
    while pending:
        extra = pending.pop()
        reached.add(extra)
        own = (Requirement(text) for text in EXTRAS[extra])
        pending += [name for r in own if r.name == "darkroom" for name in r.extras - reached]
    assert reached == set(EXTRAS)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("images/*/requirements.in")), ids=lambda path: path.parent.name
)
def test_function_requirements_are_declared_as_extras(path: Path) -> None:
    declared = {str(r) for r in external(EXTRAS["functions"] + EXTRAS["imaging"])}
    assert {str(requirement) for requirement in read_requirements(path)} <= declared


def test_worker_requirements_in_images_are_declared_as_extra() -> None:
    required = read_requirements(ROOT / "docker" / "worker-requirements.in")
    assert {str(r) for r in required} <= {str(r) for r in external(EXTRAS["worker"])}
