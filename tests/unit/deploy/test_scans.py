"""ECR's scan results as the gate of a release; the responses have the forms of botocore's model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from services.deploy.release import Releaser, Reporter, Result
from services.deploy.scans import ScanError, Scans, Severity
from tests.unit.deploy.fake_environment import CAREFUL, FakeEnvironment

DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/get-image@{DIGEST}"
ASKED = {
    "registryId": "123456789012",
    "repositoryName": "darkroom/get-image",
    "imageId": {"imageDigest": DIGEST},
}
HIGH = {"name": "CVE-2026-1", "severity": "HIGH"}
LOW = {"name": "CVE-2026-2", "severity": "LOW"}


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    client = boto3.client(
        "ecr", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def scanned(stubber: Stubber, status: str, *findings: dict[str, Any], kind: str = "") -> None:
    results = {kind or "findings": list(findings)}
    stubber.add_response(
        "describe_image_scan_findings",
        {"imageScanStatus": {"status": status}, "imageScanFindings": results},
        ASKED,
    )


def scans(stubber: Stubber, severity: Severity = Severity.HIGH, *accepted: str) -> Scans:
    return Scans(stubber.client, severity, frozenset(accepted), wait_seconds=5, poll_seconds=0)


def test_check_with_finding_as_bad_as_the_limit_names_it(stubber: Stubber) -> None:
    scanned(stubber, "COMPLETE", HIGH, LOW)
    with pytest.raises(ScanError, match=r"CVE-2026-1 \(HIGH\) in get-image\. ") as raised:
        scans(stubber).check({"get-image": IMAGE})
    assert "CVE-2026-2" not in str(raised.value)


@pytest.mark.parametrize(
    ("severity", "accepted"), [(Severity.CRITICAL, ()), (Severity.HIGH, ("CVE-2026-1",))]
)
def test_check_with_lesser_or_accepted_finding_passes(
    stubber: Stubber, severity: Severity, accepted: tuple[str, ...]
) -> None:
    scanned(stubber, "COMPLETE", HIGH, LOW)
    assert scans(stubber, severity, *accepted).check({"get-image": IMAGE}) == ()


def test_check_waits_for_scan_that_has_not_begun_or_ended(stubber: Stubber) -> None:
    stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    scanned(stubber, "IN_PROGRESS")
    scanned(stubber, "COMPLETE")
    assert scans(stubber).check({"get-image": IMAGE}) == ()


def test_check_without_scan_result_is_refused(stubber: Stubber) -> None:
    scanned(stubber, "UNSUPPORTED_IMAGE")
    with pytest.raises(ScanError, match=r"status UNSUPPORTED_IMAGE"):
        scans(stubber).check({"get-image": IMAGE})


def test_check_with_finding_of_inspector_is_refused(stubber: Stubber) -> None:
    finding = {
        "title": "CVE-2026-3 - pillow",
        "severity": "CRITICAL",
        "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2026-3"},
    }
    scanned(stubber, "ACTIVE", finding, kind="enhancedFindings")
    with pytest.raises(ScanError, match=r"CVE-2026-3 \(CRITICAL\)"):
        scans(stubber).check({"get-image": IMAGE})


def test_check_of_image_outside_of_ecr_returns_its_function(stubber: Stubber) -> None:
    image = f"registry.example/darkroom/get-image@{DIGEST}"
    assert scans(stubber).check({"get-image": image}) == ("get-image",)


def test_deploy_with_refused_finding_applies_nothing(
    environment: FakeEnvironment, stubber: Stubber
) -> None:
    def client(service: str) -> Any:
        return stubber.client if service == "ecr" else environment

    releaser = Releaser(environment.terraform, client, Reporter(lambda _: None, lambda _: None))
    environment.image("get-image", IMAGE)
    scanned(stubber, "COMPLETE", HIGH)
    with pytest.raises(ScanError, match="CVE-2026-1"):
        releaser.deploy(CAREFUL)
    assert "apply" not in environment.calls
    accepting = replace(CAREFUL, refuse=Severity.NONE)
    assert releaser.deploy(accepting).result is Result.RELEASED
