"""Pushing images, and their bills of materials."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.build import context, push, sbom
from services.build.engine import ImageError
from services.build.images import Revision
from services.build.push import Pushed
from services.platform.manifest import load_all
from tests.unit.build.support import ROOT, answers_of


@pytest.mark.parametrize(
    ("registry", "region"),
    [
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team", "cn-north-1"),
        ("registry.example:5000", None),
    ],
)
def test_ecr_gets_a_token_and_other_registries_do_not(
    monkeypatch: pytest.MonkeyPatch, registry: str, region: str | None
) -> None:
    asked: list[str] = []
    calls: list[tuple[str, ...]] = []

    def credentials(region: str) -> tuple[str, str]:
        asked.append(region)
        return "AWS", "token"

    def docker(*arguments: str, stdin: str | None = None) -> str:
        calls.append((*arguments, stdin or ""))
        return ""

    monkeypatch.setattr(push, "ecr_credentials", credentials)
    monkeypatch.setattr(push, "docker", docker)
    push.login(registry, None, None)
    assert asked == ([region] if region else [])
    host = registry.partition("/")[0]
    expected = ("login", "--username", "AWS", "--password-stdin", host, "token")
    assert calls == ([expected] if region else [])


def test_a_dirty_tree_is_not_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "require_engine", lambda: None)
    monkeypatch.setattr(push, "revision", lambda: Revision("abc", "", dirty=True))
    with pytest.raises(ImageError, match="--allow-dirty"):
        push.push((), registry="registry.example", allow_dirty=False)


def test_push_goes_by_revision_and_notes_the_digests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ...]] = []
    name = load_all(ROOT / "images")[0].name
    repository = f"registry.example/darkroom/{name}"

    def docker(*arguments: str, stdin: str | None = None) -> str:
        calls.append(arguments)
        return ""

    found = {
        "RepoDigests": ["other@sha256:1", f"{repository}@sha256:2"],
        "Config": {"Labels": None},
    }
    monkeypatch.setattr(push, "require_engine", lambda: None)
    monkeypatch.setattr(push, "revision", lambda: Revision("abc", "", dirty=False))
    monkeypatch.setattr(push, "docker", docker)
    monkeypatch.setattr(push, "inspect", answers_of(found))
    monkeypatch.setattr(push, "DIGESTS_FILE", tmp_path / "digests.json")
    pushed, failed = push.push([name], registry="registry.example", allow_dirty=False)
    assert failed == []
    assert [image.reference for image in pushed] == [f"{repository}@sha256:2"]
    assert calls == [("tag", f"darkroom/{name}:abc", f"{repository}:abc"),
                     ("push", f"{repository}:abc")]  # fmt: skip
    noted = json.loads((tmp_path / "digests.json").read_text())
    assert noted == {"image_digests": {name: f"{repository}@sha256:2"}}


def test_digests_of_other_functions_stay(tmp_path: Path) -> None:
    path = tmp_path / "digests.json"
    push.note_digests(path, [Pushed("b", "r/b@sha256:1", 0.1), Pushed("a", "r/a@sha256:1", 0.1)])
    push.note_digests(path, [Pushed("b", "r/b@sha256:2", 0.1)])
    noted = json.loads(path.read_text())["image_digests"]
    assert noted == {"a": "r/a@sha256:1", "b": "r/b@sha256:2"}


def test_digests_leave_the_tree_clean_for_the_next_push(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".gitignore", tmp_path)
    path = tmp_path / push.DIGESTS_FILE.relative_to(ROOT)
    path.parent.mkdir(parents=True)
    push.note_digests(path, [Pushed("a", "r/a@sha256:1", 0.1)])

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet")
    git("add", ".gitignore")
    assert git("status", "--porcelain", "--untracked-files=all") == "A  .gitignore\n"


# -- bill of materials


def test_the_bill_of_materials_names_every_distribution_once() -> None:
    listed = [
        {"name": "PyYAML", "version": "6", "license": "MIT", "folder": "/var/task"},
        {"name": "boto3", "version": "1", "license": "", "folder": "/var/task"},
        {"name": "boto3", "version": "2", "license": "Apache-2.0\nText", "folder": "/var/runtime"},
    ]  # fmt: skip
    about = {"version": "abc", "created": "2026-03-01T12:00:00+00:00"}
    text = sbom.sbom("greet", "sha256:1", **about, listed=listed)
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    components = {c["bom-ref"]: c for c in document["components"]}
    assert {ref: c["purl"] for ref, c in components.items()} == {
        "/var/runtime:pkg:pypi/boto3@2": "pkg:pypi/boto3@2",
        "/var/task:pkg:pypi/boto3@1": "pkg:pypi/boto3@1",
        "/var/task:pkg:pypi/pyyaml@6": "pkg:pypi/pyyaml@6",
    }
    newest = components["/var/runtime:pkg:pypi/boto3@2"]
    assert newest["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert "licenses" not in components["/var/task:pkg:pypi/boto3@1"]
    assert document["metadata"]["component"]["version"] == "abc"
    again = sbom.sbom("greet", "sha256:1", **about, listed=reversed(listed))
    assert again == text


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Other threads go on in the middle of whatever one does: whenever garbage is collected."""

    def give_way(_phase: str, _info: dict[str, int]) -> None:
        time.sleep(0)

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(give_way)
    gc.set_threshold(20)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.callbacks.remove(give_way)


@pytest.mark.usefixtures("hasty_threads")
def test_sources_are_read_for_several_images_at_once() -> None:
    """Python 3.11 fails at that now and then, if it is let."""
    handler = ROOT / "services" / "runtime" / "runtime_api.py"
    with ThreadPoolExecutor(4) as pool:
        read = [
            pool.submit(lambda: list(context._imports(ROOT, handler, "services.runtime")))
            for _ in range(40)
        ]
    assert len({tuple(imports.result()) for imports in read}) == 1
