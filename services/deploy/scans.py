"""Reads the results of ECR's image scans, so that a release can refuse known vulnerabilities."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from services.deploy.live_images import Image, parse_image
from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError

POLL_SECONDS = 5.0
WAIT_SECONDS = 300.0
SHOWN = 10


class Severity(StrEnum):
    """The least severity that a release refuses; `none` refuses nothing. The worst comes first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"

    @property
    def refused(self) -> frozenset[str]:
        """ECR's names of this severity and of all that are worse."""
        if self is Severity.NONE:
            return frozenset()
        order = list(Severity)
        return frozenset(severity.upper() for severity in order[: order.index(self) + 1])


class _Status(StrEnum):
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html"""

    COMPLETE = "COMPLETE"
    ACTIVE = "ACTIVE"
    """Complete, and repeated by Amazon Inspector."""
    IN_PROGRESS = "IN_PROGRESS"
    PENDING = "PENDING"


class ScanError(PermanentError):
    """An image has findings that a release refuses, or was not scanned."""


@dataclass(frozen=True)
class Scans:
    """The gate of a release. `ecr` is a client; `accepted` are findings that do not count."""

    ecr: Any
    severity: Severity
    accepted: frozenset[str] = frozenset()
    wait_seconds: float = WAIT_SECONDS
    poll_seconds: float = POLL_SECONDS

    def check(self, images: Mapping[str, str]) -> tuple[str, ...]:
        """Checks the images by function name. Returns the functions whose image is not in ECR, and
        so has no scan. Raises ScanError for the findings of all images together."""
        found: dict[str, list[str]] = {}
        elsewhere = []
        for function, reference in sorted(images.items()):
            image = parse_image(reference)
            if image is None:
                elsewhere.append(function)
                continue
            for finding in self._findings(function, image):
                found.setdefault(finding, []).append(function)
        if found:
            shown = [
                f"{name} in {', '.join(functions[:3])}"
                + (f" and {len(functions) - 3} more" if len(functions) > 3 else "")
                for name, functions in sorted(found.items())[:SHOWN]
            ]
            more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise ScanError(
                f"the image scan found {'; '.join(shown)}{more}. `make images REFRESH=1` takes the "
                "base image's patches; --accept-finding NAME accepts one"
            )
        return tuple(elsewhere)

    def _findings(self, function: str, image: Image) -> list[str]:
        """Names of the findings that count, as `CVE-2026-1234 (HIGH)`."""
        give_up_at = time.monotonic() + self.wait_seconds
        while True:
            status, findings = self._read(image)
            if status in (_Status.COMPLETE, _Status.ACTIVE):
                refused = self.severity.refused
                return sorted(
                    f"{name} ({severity})"
                    for name, severity in findings
                    if severity in refused and name not in self.accepted
                )
            # A scan on push begins a moment after the push.
            waits = status in (_Status.IN_PROGRESS, _Status.PENDING, None)
            if not waits or time.monotonic() > give_up_at:
                raise ScanError(
                    f"the image of {function} has no scan result (status {status or 'not found'}): "
                    "enable scan_on_push for its repository, or release with --refuse none"
                )
            time.sleep(self.poll_seconds)

    def _read(self, image: Image) -> tuple[str | None, list[tuple[str, str]]]:
        """The scan's status, None before it began; and the findings by name and severity."""
        pages = self.ecr.get_paginator("describe_image_scan_findings").paginate(
            registryId=image.account,
            repositoryName=image.repository,
            imageId={"imageDigest": image.digest},
        )
        status, found = None, []
        try:
            for page in pages:
                status = page["imageScanStatus"]["status"]
                results = page.get("imageScanFindings", {})
                found += [(f["name"], f["severity"]) for f in results.get("findings", ())]
                # Amazon Inspector's form.
                for finding in results.get("enhancedFindings", ()):
                    details = finding.get("packageVulnerabilityDetails", {})
                    name = details.get("vulnerabilityId") or finding["title"]
                    found.append((name, finding["severity"]))
        except ClientError as error:
            if error_code(error) != "ScanNotFoundException":
                raise
        return status, found
