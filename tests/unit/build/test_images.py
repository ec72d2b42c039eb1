"""What goes into an image, what a build or push does with the engine's answers, what is written."""

from __future__ import annotations

import gc
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.build import __main__ as command
from services.build import compose, context, engine, images, push, sbom
from services.build.engine import ImageError
from services.build.images import Built, Revision
from services.build.push import Pushed
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, load, load_all

ROOT = Path(__file__).parents[3]
FUNCTION_YAML = """
description: A function.
feature: photos
memory_mib: 512
timeout_seconds: 10
trigger: {}
grants:
  - {bucket: originals, actions: ["s3:GetObject"]}
  - {mail: sender, actions: ["ses:SendRawEmail"]}
environment: {}
budgets: {image_mib_over_base: 10, init_ms: 100}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: a function, a capability with a template, and a worker."""
    files = {
        "images/greet/function.yaml": FUNCTION_YAML,
        "images/greet/handler.py": "from services.mail.greet import greet\n",
        "images/greet/requirements.txt": "boto3==1\n",
        "images/greet/requirements.in": "boto3\n",
        "images/greet/README.md": "about",
        "docker/Dockerfile": "FROM base\n",
        "docker/entrypoint.sh": "",
        "docker/trim.py": "",
        "docker/worker-requirements.txt": "",
        "services/__init__.py": "",
        "services/cli/__init__.py": "",
        "services/mail/__init__.py": "",
        "services/mail/greet.py": "def greet():\n    from services.platform import clock\n",
        "services/mail/unused.py": "",
        "services/mail/templates/hello.html": "<p>",
        "services/mail/versions/0001_first.py": "import services.cli\n",
        "services/platform/__init__.py": "",
        "services/platform/clock.py": "from . import errors as e\nfrom .errors import now\n",
        "services/platform/errors.py": "import time\n",
        "services/platform/other.py": "",
        "services/orders/__init__.py": "",
        "services/worker/__init__.py": "",
        "services/worker/__main__.py": "import services.worker.supervisor\n",
        "services/worker/supervisor.py": "",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


@pytest.fixture
def greet(project: Path) -> Manifest:
    return load(project / "images" / "greet")


def stage(project: Path, manifest: Manifest) -> context.Context:
    return context.stage(project, manifest, project / "staged")


def test_only_what_the_handler_imports_and_the_worker_go_in(project: Path, greet: Manifest) -> None:
    context = stage(project, greet)
    task = context.folder / "task"
    files = {p.relative_to(task).as_posix() for p in task.rglob("*") if p.is_file()}
    assert files == {
        "function.yaml",
        "handler.py",
        "services/__init__.py",
        "services/mail/__init__.py",
        "services/mail/greet.py",
        "services/mail/templates/hello.html",
        # Python that no import leads to: loaded by its path, and not read for its imports.
        "services/mail/versions/0001_first.py",
        "services/platform/__init__.py",
        "services/platform/clock.py",
        "services/platform/errors.py",
        "services/worker/__init__.py",
        "services/worker/__main__.py",
        "services/worker/supervisor.py",
    }


def test_the_digest_changes_with_what_is_inside_and_with_nothing_else(
    project: Path, greet: Manifest
) -> None:
    before = stage(project, greet).digest
    (project / "services/mail/unused.py").write_text("changed = True\n")
    (project / "images/greet/README.md").write_text("changed")
    assert stage(project, greet).digest == before
    (project / "services/platform/errors.py").write_text("changed = True\n")
    assert stage(project, greet).digest != before


def test_what_is_staged_no_longer_goes_away(project: Path, greet: Manifest) -> None:
    context = stage(project, greet)
    (project / "services/mail/greet.py").write_text("def greet(): pass\n")
    stage(project, greet)
    assert not (context.folder / "task/services/platform").exists()


def test_a_function_may_bring_its_own_dockerfile(project: Path, greet: Manifest) -> None:
    (project / "images/greet/Dockerfile").write_text("FROM special\n")
    context = stage(project, greet)
    assert (context.folder / "Dockerfile").read_text() == "FROM special\n"
    assert not (context.folder / "task/Dockerfile").exists()


def test_staged_files_are_readable_by_every_user(project: Path, greet: Manifest) -> None:
    (project / "images/greet/handler.py").chmod(0o600)
    context = stage(project, greet)
    assert (context.folder / "task/handler.py").stat().st_mode & 0o777 == 0o644


def test_botocore_keeps_the_services_of_the_grants(greet: Manifest) -> None:
    assert context.services_of(greet) == ("s3", "ses", "sesv2", "sqs", "sts")


def test_an_image_never_reaches_the_tools(project: Path, greet: Manifest) -> None:
    (project / "services/platform/errors.py").write_text("import services.cli\n")
    with pytest.raises(
        ConfigurationError, match=r"clock -> services.platform.errors -> services.cli"
    ):
        stage(project, greet)


def test_an_import_of_nothing_is_refused(project: Path, greet: Manifest) -> None:
    (project / "images/greet/handler.py").write_text("import services.mail.gret\n")
    with pytest.raises(ConfigurationError, match=r"services.mail.gret: expected a module"):
        stage(project, greet)


def test_a_folder_that_lacks_something_is_refused(project: Path, greet: Manifest) -> None:
    (project / "images/greet/requirements.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"requirements\.txt"):
        stage(project, greet)


@pytest.mark.parametrize("manifest", load_all(ROOT / "images"), ids=lambda manifest: manifest.name)
def test_every_function_can_be_staged(manifest: Manifest, tmp_path: Path) -> None:
    staged = context.stage(ROOT, manifest, tmp_path / manifest.name)
    assert "services.worker.__main__" in staged.modules


# -- trimming


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Installed packages, as small as botocore's layout allows."""
    service = {
        "metadata": {"endpointPrefix": "states"},
        "documentation": "long",
        "shapes": {"documentation": {"type": "string", "documentation": "long"}},
    }
    endpoints = {"partitions": [{"partition": "aws", "services": {"states": {}, "ec2": {}}}]}
    data = tmp_path / "botocore" / "data"
    for name in ("stepfunctions/2015", "stepfunctions/2016", "ec2/2016"):
        (data / name).mkdir(parents=True)
        (data / name / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(service).encode()))
        (data / name / "examples-1.json").write_text("{}")
    (data / "endpoints.json").write_text(json.dumps(endpoints))
    (tmp_path / "botocore" / "stubs.pyi").touch()
    (tmp_path / "boto3-1.dist-info" / "licenses").mkdir(parents=True)
    for name in ("METADATA", "RECORD", "LICENSE", "licenses/NOTICE"):
        (tmp_path / "boto3-1.dist-info" / name).touch()
    return tmp_path


def trim(folder: Path, *services: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docker/trim.py"), str(folder), *services]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_trimming_leaves_the_newest_description_of_the_services_named(installed: Path) -> None:
    assert trim(installed, "stepfunctions").returncode == 0
    files = {p.relative_to(installed).as_posix() for p in installed.rglob("*") if p.is_file()}
    assert files == {
        "boto3-1.dist-info/LICENSE",
        "boto3-1.dist-info/METADATA",
        "boto3-1.dist-info/licenses/NOTICE",
        "botocore/data/endpoints.json",
        "botocore/data/stepfunctions/2016/service-2.json",
    }
    data = installed / "botocore" / "data"
    assert json.loads((data / "endpoints.json").read_text()) == {
        "partitions": [{"partition": "aws", "services": {"states": {}}}]
    }
    service = json.loads((data / "stepfunctions/2016/service-2.json").read_text())
    assert service["documentation"] == ""
    assert service["shapes"] == {"documentation": {"type": "string", "documentation": ""}}


def test_trimming_refuses_a_service_that_botocore_does_not_have(installed: Path) -> None:
    done = trim(installed, "s3", "stepfunctions")
    assert done.returncode == 1
    assert "expected services of botocore, got s3" in done.stderr


# -- building


BASE_IMAGE = {"Id": "sha256:" + "b" * 64, "Os": "linux", "Architecture": "amd64", "Size": 100}


def answers_of(found: dict[str, Any] | None) -> Callable[[str], dict[str, Any] | None]:
    return lambda _image: found


def test_a_missing_base_that_cannot_be_pulled_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def docker(*arguments: str) -> str:
        raise ImageError("connection refused")

    monkeypatch.setattr(engine, "inspect", answers_of(None))
    monkeypatch.setattr(engine, "docker", docker)
    with pytest.raises(ImageError, match="make standins"):
        engine.require_base("base:1", "linux/amd64")


def test_a_base_for_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "inspect", answers_of(BASE_IMAGE))
    with pytest.raises(
        ImageError, match="expected base:1 for linux/arm64, got one for linux/amd64"
    ):
        engine.require_base("base:1", "linux/arm64")


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("write /x: no space left on device", "the disk is full"),
        ("exec /bin/sh: exec format error", "--platform"),
        ("ERROR: BuildKit is enabled but the buildx component is missing", ".ci/engine"),
        ("something else", "failed:\nsomething else"),
    ],
)
def test_known_causes_are_explained(output: str, advice: str) -> None:
    assert advice in engine.explain("building x", output)


@pytest.mark.parametrize(
    ("labels", "revision", "serves"),
    [
        ({"dev.darkroom.content": "c1"}, "abc", True),
        ({"dev.darkroom.content": "c2"}, "abc", False),
        ({}, "abc", False),
        (None, "abc", False),
        ({"dev.darkroom.content": "c1", images.REVISION_LABEL: "a-dirty"}, "abc", False),
        ({"dev.darkroom.content": "c1", images.REVISION_LABEL: "a-dirty"}, "abc-dirty", True),
    ],
)
def test_an_unchanged_image_serves_again(
    labels: dict[str, str] | None, revision: str, serves: bool
) -> None:
    commit = revision.removesuffix("-dirty")
    builder = images.Builder(
        "base:1", BASE_IMAGE, "linux/amd64", Revision(commit, "", commit != revision), "1", False
    )
    found = {"Os": "linux", "Architecture": "amd64", "Config": {"Labels": labels}}
    assert builder._serves(found, "c1") is serves
    assert not builder._serves(found | {"Architecture": "arm64"}, "c1")


def test_budgets_count_whole_mebibytes() -> None:
    size = 10 * images.MIB
    assert Built("f", "i", "id", size, 10, True, 1.0).within_budget
    assert not Built("f", "i", "id", size + 1, 10, True, 1.0).within_budget


def test_a_function_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="got no-such-function"):
        images.chosen(["no-such-function"])


def test_the_command_fails_when_no_engine_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert command.main(["build", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []


# -- the lab in containers


def test_compose_file_is_what_its_generator_writes() -> None:
    assert (ROOT / "docker/compose.yaml").read_text() == compose.render(), "run `make compose`"


def test_compose_runs_every_function_as_its_manifest_says() -> None:
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    workers = {name: item for name, item in services.items() if item.get("command") == "worker"}
    manifests = {m.name: m for m in load_all(ROOT / "images") if m.queue is not None}
    assert set(workers) == set(manifests)
    for name, manifest in manifests.items():
        worker = workers[name]
        limits = worker["deploy"]["resources"]["limits"]
        assert worker["image"] == f"darkroom/{name}:latest"
        assert limits["cpus"] == f"{manifest.memory_mib / 1769:.2f}"
        assert limits["memory"] == f"{manifest.memory_mib + 160}M"
        own = {n for n in worker["environment"] if not n.startswith(("AWS_", "WORKER_"))}
        assert own == set(manifest.environment)


# -- pushing


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
