"""The declared dependencies, the pins that `make setup` installs, and the wheel agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image

from services.platform import checkout
from services.platform.errors import DarkroomError
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIP_WHEEL = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
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


def test_checkout_is_required_by_name_outside_one(tmp_path: Path) -> None:
    assert checkout.is_checkout()
    checkout.require_checkout("the demo")
    with pytest.raises(DarkroomError, match=r"the demo needs a checkout .* `make setup`"):
        checkout.require_checkout("the demo", tmp_path)


def test_state_folder_outside_a_checkout_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert checkout.state_folder() == ROOT / ".darkroom"
    assert checkout.state_folder(tmp_path) == tmp_path / "state" / "darkroom"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built without network from tracked and new files."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(
        [
            "git",
            "ls-files",
            "-zco",
            "--exclude-standard",
            "services",
            "pyproject.toml",
            "README.md",
            "LICENSE",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if not (ROOT / name).is_file():
            continue  # deleted, but not committed yet
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, *PIP_WHEEL, "--wheel-dir", str(source / "dist"), str(source)],
        check=True,
        timeout=scaled(120),
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


class Installed:
    """The wheel in an environment that borrows the dependencies of this one, but neither the
    checkout nor any distribution that is no requirement of `extra`."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        venv.create(folder, with_pip=False)
        self.folder = folder
        packages = next(folder.glob("lib/python*/site-packages"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        for name in required_distributions(extra):
            for top in {Path(str(f)).parts[0] for f in metadata.files(name) or ()} - {".."}:
                target = packages / top
                origin = Path(str(metadata.distribution(name).locate_file(top)))
                if not target.exists() and origin.exists() and top != "__pycache__":
                    target.symlink_to(origin)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "COLUMNS": "200"}
        return subprocess.run(
            [str(self.folder / "bin" / "python"), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=scaled(60),
            check=False,
        )

    def darkroom(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        entry = PYPROJECT["project"]["scripts"]["darkroom"]
        module, function = entry.split(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        return self.run("-c", code, *arguments)


def required_distributions(extra: str) -> set[str]:
    """Every distribution that `pip install darkroom[extra]` brings, by the installed metadata."""
    found: set[str] = set()
    pending: list[tuple[str, frozenset[str]]] = [("darkroom", frozenset({extra}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        name, extras = pending.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name == "darkroom":
            requirements = [text for one in extras for text in EXTRAS[one]]
        else:
            found.add(name)
            requirements = metadata.requires(name) or []
        for requirement in map(Requirement, requirements):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": e}) for e in extras or {""}):
                continue
            pending.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestInstalledWheel:
    def test_imaging_extra_develops_a_photo(self, wheel: Path, tmp_path: Path) -> None:
        installed = Installed(tmp_path, wheel, "imaging")
        photo = tmp_path / "photo.jpg"
        Image.effect_noise((640, 480), 40).convert("RGB").save(photo)
        code = (
            "import pathlib, services.imaging; from services.imaging.develop import develop; "
            "developed = develop(pathlib.Path('photo.jpg').read_bytes()); "
            "print(services.imaging.__file__, len(developed.renditions))"
        )
        ran = installed.run("-c", code)
        assert ran.returncode == 0, ran.stderr
        path, count = ran.stdout.split()
        assert Path(path).is_relative_to(tmp_path)
        assert int(count) > 0

    def test_imaging_extra_has_no_tools(self, wheel: Path, tmp_path: Path) -> None:
        ran = Installed(tmp_path, wheel, "imaging").run("-c", "import botocore")
        assert "No module named 'botocore'" in ran.stderr

    def test_command_outside_a_checkout_works_or_says_what_it_needs(
        self, wheel: Path, tmp_path: Path
    ) -> None:
        installed = Installed(tmp_path, wheel, "cli")
        version = installed.darkroom("--version")
        assert (version.returncode, version.stdout.split()) == (
            0,
            ["darkroom", PYPROJECT["project"]["version"]],
        ), version.stderr
        assert installed.darkroom("--help").returncode == 0
        for command in (["up"], ["demo"], ["deploy", "development"]):
            ran = installed.darkroom(*command)
            assert ran.returncode == 1, (command, ran.stderr)
            assert "needs a checkout of Darkroom" in ran.stderr, command
        products = installed.darkroom("products", "list")
        assert products.returncode != 0
        assert "DARKROOM_API" in products.stderr
        assert "Traceback" not in products.stderr

    def test_wheel_holds_typing_marker_and_data_but_no_tests(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        assert "services/py.typed" in names
        data = {str(path.relative_to(ROOT)) for path in ROOT.glob("services/**/*.css")}
        data |= {str(path.relative_to(ROOT)) for path in ROOT.glob("services/**/*.jinja")}
        assert data <= names
        tops = {name.split("/")[0] for name in names}
        assert tops == {"services", f"darkroom-{PYPROJECT['project']['version']}.dist-info"}
