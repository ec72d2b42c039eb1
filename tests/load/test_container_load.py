"""The load test in containers, and its messages when it cannot run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.build import engine as docker_engine
from services.build import images
from services.build.engine import ImageError
from services.load_test.containers import RUN_LABEL
from services.platform.manifest import load_all
from tests.support.terminal import start_as_a_person_does
from tests.support.waiting import eventually, scaled

pytestmark = pytest.mark.containers

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "services.cli.main", "load-test"]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Skips without an engine (fails in CI); checks that the test leaves nothing in the engine."""
    try:
        docker_engine.require_engine()
    except ImageError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    before = _ours()
    yield
    assert _ours() <= before


def _ours() -> set[str]:
    by_label = ["--quiet", "--filter", f"label={RUN_LABEL}"]
    return {
        *docker_engine.docker("ps", "--all", *by_label).split(),
        *docker_engine.docker("network", "ls", *by_label).split(),
    }


@pytest.fixture(scope="session")
def built() -> None:
    done, failed = images.build(
        (), base=docker_engine.BASE, wanted=docker_engine.host_platform(), force=False
    )
    missing = {m.name for m in load_all(ROOT / "images")} - {image.function for image in done}
    if missing:
        pytest.fail("the images do not build:\n" + "\n".join(failed))


def _run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=scaled(240),
        check=False,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_container_run_accounts_for_every_photo() -> None:
    done = _run("--count", "40", "--rate", "4", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 photos, nothing lost, nothing doubled." in done.stdout
    page = ROOT / done.stdout.rsplit("The report: ", 1)[1].strip().replace("\n", "")
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["plan"]["stage"] == "containers"
    assert (report["books"]["developed"], report["books"]["rejected"]) == (39, 1)
    assert report["books"]["notified"] == 40
    assert [crew["cpus"] for crew in report["crews"]] == pytest.approx([1536 / 1769, 512 / 1769])
    assert report["figures"]["dollars"]["arm64"] < report["figures"]["dollars"]["x86_64"]
    assert report["figures"]["workers"][0]["peak_mib"] > 50


@pytest.mark.slow
@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_container_run_interrupted_leaves_nothing(number: signal.Signals) -> None:
    before = _ours()
    process = subprocess.Popen(
        [*COMMAND, "--count", "500"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=start_as_a_person_does,
    )
    try:
        eventually(lambda: _ours() - before, "the run starts containers", pause_seconds=0.2)
        process.send_signal(number)
        _, told = process.communicate(timeout=scaled(60))
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"interrupted" in told


@pytest.mark.usefixtures("built")
def test_container_run_reports_a_dead_localstack() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--count", "500"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        by_image = ["--quiet", "--filter", f"label={RUN_LABEL}"]
        by_image += ["--filter", "ancestor=localstack/localstack:4.14.0"]
        workers = [
            "--filter",
            f"label={RUN_LABEL}",
            "--filter",
            "ancestor=darkroom/process-image:latest",
        ]
        eventually(
            lambda: docker_engine.docker("ps", "--quiet", *workers),
            "the run starts its workers",
            pause_seconds=0.2,
        )
        docker_engine.docker("kill", docker_engine.docker("ps", *by_image).split()[0])
        _, told = process.communicate(timeout=scaled(120))
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert "localstack ended" in told.replace("\n", " ")


@pytest.mark.usefixtures("built")
def test_container_run_reports_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _run("--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr


def test_container_run_reports_a_missing_engine() -> None:
    done = _run(DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert "no Docker engine answers" in done.stderr
