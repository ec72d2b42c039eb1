"""The console's releases, read from functions of the emulator and the record of a release."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec

from services.local import emulator as emulators
from services.local.aws_session import LocalSession
from services.monitoring.get_lab_status import GetLabStatus
from services.monitoring.lab import LabConfiguration
from services.monitoring.lab_files import LabFiles
from services.monitoring.release_record import Record, parameter_name, write_record
from services.monitoring.releases import LIVE, LambdaReleases
from services.platform.functions.http import Request

ROLE = "arn:aws:iam::000000000000:role/function"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com/darkroom"
FIRST, SECOND = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
REQUEST = Request(None, None, {}, "/operations/releases", "127.0.0.1", "r1", b"", None)


def publish(lambda_: Any, name: str, digests: list[str]) -> list[str]:
    """Creates a function with a version for each digest; the last one is live. Returns them."""
    versions: list[str] = []
    for digest in digests:
        image = f"{REGISTRY}/one@{digest}"
        if versions:
            lambda_.update_function_code(FunctionName=name, ImageUri=image)
        else:
            lambda_.create_function(
                FunctionName=name, Role=ROLE, PackageType="Image", Code={"ImageUri": image}
            )
        versions.append(lambda_.publish_version(FunctionName=name)["Version"])
    lambda_.create_alias(FunctionName=name, Name=LIVE, FunctionVersion=versions[-1])
    return versions


def test_releases_have_live_and_previous_versions_and_the_command_that_goes_back(
    cloud: emulators.Emulator, tmp_path: Path
) -> None:
    session = LocalSession(cloud.endpoint)
    lambda_, ssm = session.client("lambda"), session.client("ssm")
    prefix = f"t{uuid.uuid4().hex[:8]}"
    # A worker is no function of Lambda.
    configuration = LabConfiguration(prefix, ("get-image", "list-images", "worker"), "cloudwatch")
    before, live = publish(lambda_, f"{prefix}-get-image", [FIRST, SECOND])
    (only,) = publish(lambda_, f"{prefix}-list-images", [FIRST])
    status = GetLabStatus(
        configuration,
        LabFiles(tmp_path),
        session.client("sqs"),
        LambdaReleases(configuration, session.client),
    )

    def shown(record: Record) -> Any:
        write_record(ssm, parameter_name(prefix), record)
        return msgspec.to_builtins(status.releases(REQUEST).body)

    record = Record(
        before={"get-image": before, "list-images": only, "removed": "1"},
        held={"list-images": only},
        environment="production",
        changed_at="2026-11-28T12:00:00.000Z",
    )
    found = shown(record)
    assert (found["changed_at"], found["rollback_command"], found["code_version"]) == (
        "2026-11-28T12:00:00.000Z", "make rollback ENVIRONMENT=production", None,
    )  # fmt: skip
    functions = {one["name"]: one for one in found["functions"]}
    assert list(functions) == ["get-image", "list-images", "worker"]
    image = functions["get-image"]
    assert image["live"]["published_at"].startswith("20")
    shown_versions = [(image[n]["version"], image[n]["image_digest"]) for n in ("live", "previous")]
    assert shown_versions == [(live, SECOND), (before, FIRST)]
    assert not image["held"]
    unchanged = functions["list-images"]
    assert (unchanged["live"]["image_digest"], unchanged["previous"]) == (FIRST, None)
    assert unchanged["held"]
    assert functions["worker"] == {
        "name": "worker", "live": None, "previous": None, "held": False,
    }  # fmt: skip
    # A record of an older release names no environment; after a rollback nothing is left.
    assert shown(Record(before={"get-image": before}))["rollback_command"] == (
        "make rollback ENVIRONMENT=NAME"
    )
    assert shown(Record())["rollback_command"] is None
