"""What goes into an image, what a build or push does with the engine's answers, what is written."""

from __future__ import annotations

import gzip
import json
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.build import __main__ as command
from services.build import compose, context, engine, images
from services.build.engine import ImageError
from services.build.images import Built, Revision
from services.platform.errors import ConfigurationError
from services.platform.manifest import Feature, Manifest, load_all
from tests.unit.build.support import ROOT, answers_of


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


def test_function_with_the_database_gets_the_authorities_of_rds() -> None:
    contexts = {
        manifest.name: {p.name for p in manifest_files(manifest)}
        for manifest in load_all(ROOT / "images")
        if manifest.name in ("confirm-user", "process-image")
    }
    assert "rds-authorities.pem" in contexts["confirm-user"]
    assert "rds-authorities.pem" not in contexts["process-image"]


def manifest_files(manifest: Manifest) -> list[Path]:
    with tempfile.TemporaryDirectory() as folder:
        return [*(context.stage(ROOT, manifest, Path(folder) / "staged").folder / "task").iterdir()]


def test_authorities_of_rds_are_valid_in_every_listed_region() -> None:
    file = ROOT / "docker" / "rds-authorities.pem"
    authorities: list[dict[str, Any]] = [
        {**authority} for authority in ssl.create_default_context(cafile=str(file)).get_ca_certs()
    ]
    names = {value for a in authorities for ((key, value),) in a["subject"] if key == "commonName"}
    listed = {
        line.removeprefix("# ")
        for line in file.read_text().splitlines()
        if line.startswith("# Amazon RDS ")
    }
    assert names == listed
    for region in ("eu-central-1", "us-east-1"):
        for key in ("RSA2048", "RSA4096", "ECC384"):
            assert f"Amazon RDS {region} Root CA {key} G1" in names


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


def test_staged_requirements_do_not_name_who_requires_them(project: Path, greet: Manifest) -> None:
    """Functions with the same requirements share a layer, although each has its own file."""
    compiled = "six==1 \\\n    --hash=sha256:00\n    # via -r images/greet/requirements.in\n"
    (project / "images/greet/requirements.txt").write_text(compiled)
    staged = stage(project, greet).folder / "requirements.txt"
    assert staged.read_text() == "six==1 \\\n    --hash=sha256:00\n"


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


def test_chosen_functions_are_those_of_the_features_and_of_what_they_need() -> None:
    by_feature = {
        feature: {m.name for m in load_all(ROOT / "images") if m.feature is feature}
        for feature in Feature
    }

    def names(*features: Feature) -> set[str]:
        return {m.name for m in images.chosen((), features)}

    assert names(Feature.PHOTOS) == {"add-avif", "process-image", "send-image-email"}
    assert names(Feature.CUSTOMERS) == by_feature[Feature.PHOTOS] | by_feature[Feature.CUSTOMERS]
    assert names() == names(Feature.ORDERS) == set.union(*by_feature.values())


def test_chosen_functions_join_names_and_features_once() -> None:
    chosen = images.chosen(["send-webhook", "add-avif"], [Feature.PHOTOS])
    expected = ["send-webhook", "add-avif", "process-image", "send-image-email"]
    assert [manifest.name for manifest in chosen] == expected


@pytest.mark.parametrize("action", [["build"], ["push", "--registry=registry.example"]])
def test_command_takes_features(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], action: list[str]
) -> None:
    def selects(names: list[str], features: Iterable[Feature], **_: object) -> object:
        return [], [m.name for m in images.chosen(names, features)]

    monkeypatch.setattr(command, "build", selects)
    monkeypatch.setattr(command, "push", selects)
    monkeypatch.setattr(command, "warn", print)
    command.main([*action, "--features", "photos"])
    selected = capsys.readouterr().out.split()
    assert selected == ["add-avif", "process-image", "send-image-email"]
    command.main([*action, "--features", "prints"])
    assert "expected photos, customers, orders, got 'prints'" in capsys.readouterr().out


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
