"""Errors for wrong options, and for images that are missing or for another processor."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.build import engine as docker_engine
from services.build.engine import ImageError
from services.cli import load_test, main
from services.load_test import containers
from services.load_test.plan import MAIL_LEASE_SECONDS, VISIBILITY_SECONDS
from services.local.state import PROJECT
from services.platform.errors import PermanentError
from services.platform.manifest import load_all

MANIFESTS = load_all(PROJECT / "images")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--count", "0", "a whole number 1..100000, got '0'"),
        ("--count", "many", "a whole number 1..100000, got 'many'"),
        ("--rate", "0", "above 0 and up to 1000, got '0'"),
        ("--rate", "nan", "above 0 and up to 1000, got 'nan'"),
        ("--rate", "inf", "above 0 and up to 1000, got 'inf'"),
        ("--rate", "fast", "above 0 and up to 1000, got 'fast'"),
        ("--workers", "-1", "a whole number 1..64, got '-1'"),
        ("--port", "70000", "a whole number 1..65535, got '70000'"),
    ],
)
def test_option_with_wrong_value_is_refused(
    option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["load-test", f"{option}={value}"]) == 2
    assert expected in capsys.readouterr().err


def test_photos_folder_missing_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["load-test", "--photos", "/nowhere"]) == 2
    assert "/nowhere does not exist" in capsys.readouterr().err


def test_load_test_on_full_disk_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(load_test, "_perform", full)
    monkeypatch.setattr(load_test, "FOLDER", tmp_path)
    assert main.main(["load-test", "--embedded"]) == 1
    assert "the disk is full" in capsys.readouterr().err


class Engine:
    """An engine with these images; none can be pulled."""

    def __init__(self, architectures: Mapping[str, str]) -> None:
        self.architectures = architectures

    def inspect(self, name: str) -> dict[str, Any] | None:
        if name not in self.architectures:
            return None
        return {"Os": "linux", "Architecture": self.architectures[name], "Config": {"Labels": {}}}

    def docker(self, *arguments: str) -> str:
        raise ImageError(f"docker {arguments[0]} failed")


ALL = {
    "darkroom/process-image:latest": "amd64",
    "darkroom/send-image-email:latest": "amd64",
    containers.LOCALSTACK: "amd64",
    containers.POSTGRES: "amd64",
}


def required(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> bool:
    monkeypatch.setattr(docker_engine, "inspect", engine.inspect)
    monkeypatch.setattr(containers, "docker", engine.docker)
    monkeypatch.setattr(docker_engine, "host_platform", lambda: "linux/amd64")
    return containers._require_images([m for m in MANIFESTS if m.name in str(ALL)])


def test_localstack_without_standin_label_serves_dynamodb(monkeypatch: pytest.MonkeyPatch) -> None:
    assert required(monkeypatch, Engine(ALL)) is True


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("darkroom/process-image:latest", "make images"), (containers.LOCALSTACK, "make standins")],
)
def test_missing_image_is_reported_with_advice(
    missing: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine({name: a for name, a in ALL.items() if name != missing})
    with pytest.raises(PermanentError, match=advice):
        required(monkeypatch, engine)


@pytest.mark.parametrize("name", ["darkroom/send-image-email:latest", containers.POSTGRES])
def test_image_for_other_platform_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermanentError, match="for linux/amd64, got one for linux/arm64"):
        required(monkeypatch, Engine(ALL | {name: "arm64"}))


def test_email_claim_with_faults_outlives_lease_and_ends_before_last_receive() -> None:
    # Its receives 2 to 5 come after the lease, then 5, 10 and 20 s later at least: the back-off.
    assert VISIBILITY_SECONDS < MAIL_LEASE_SECONDS <= VISIBILITY_SECONDS + 5 + 10 + 20
