"""A function from the template works as it is: manifest, handler, image, compose file, types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.build import compose, context
from services.build.new_function import Kind, create
from services.platform import manifest
from services.platform.errors import PermanentError
from services.platform.manifest import Feature
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[3]
# Invokes the handler as Lambda does and prints its answer.
_INVOKE = """
import json, sys
import handler
class Context:
    aws_request_id = "request"
    function_name = "count-photos"
    def get_remaining_time_in_millis(self):
        return 30_000
print(json.dumps(handler.handler(json.loads(sys.argv[1]), Context())))
"""
MESSAGE = {
    "Records": [
        {"messageId": "m1", "receiptHandle": "r", "body": "{}", "eventSource": "aws:sqs",
         "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}}
    ]
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a function is made of."""
    for name in ("images", "services", "docker", "terraform/lab"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__", ".terraform", "node_modules"),
        )
    return tmp_path


def invoke(project: Path, event: object) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _INVOKE, json.dumps(event)],
        cwd=project / "images" / "count-photos",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(project),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        },
        capture_output=True, text=True, timeout=scaled(120), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("kind", Kind)
def test_create_function_loads_stages_and_answers_a_warmer(project: Path, kind: Kind) -> None:
    create(project, "count-photos", "catalog", Feature.PHOTOS, kind)
    loaded = manifest.load(project / "images" / "count-photos")
    assert loaded.feature is Feature.PHOTOS
    assert (loaded.queue is None) == (kind is Kind.HTTP)
    staged = context.stage(project, loaded, project / "staged")
    assert "services.catalog.count_photos" in staged.modules
    assert invoke(project, {"warmer": True}) == {"warm": True}
    assert ("count-photos:" in compose.render(project)) == (kind is not Kind.HTTP)


def test_create_queue_function_handles_a_message(project: Path) -> None:
    create(project, "count-photos", "catalog", Feature.PHOTOS, Kind.QUEUE)
    assert invoke(project, MESSAGE) == {"batchItemFailures": []}


@pytest.mark.slow
@pytest.mark.parametrize("kind", Kind)
def test_create_function_passes_lint_and_types(project: Path, kind: Kind) -> None:
    create(project, "count-photos", "catalog", Feature.PHOTOS, kind)
    tools = Path(sys.executable).parent
    module = "services/catalog/count_photos.py"
    settings = str(ROOT / "pyproject.toml")
    for command in (
        [
            str(tools / "ruff"),
            "check",
            "--config",
            settings,
            module,
            "images/count-photos/handler.py",
        ],
        [str(tools / "mypy"), "--config-file", settings, "-m", "services.catalog.count_photos"],
    ):
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, timeout=scaled(300), check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["photos", "Count-Photos", "count_photos", "../x-y", ""])
def test_create_other_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match="is not a name"):
        create(tmp_path, name, "catalog", Feature.PHOTOS, Kind.QUEUE)


def test_create_existing_function_is_refused(project: Path) -> None:
    with pytest.raises(PermanentError, match="exists already"):
        create(project, "process-image", "catalog", Feature.PHOTOS, Kind.QUEUE)
