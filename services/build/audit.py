"""Known vulnerabilities in what Darkroom depends on and ships, from OSV (https://osv.dev).

    python -m services.build.audit requirements    # pinned Python and web dependencies
    python -m services.build.audit images          # what is inside the built function images

`requirements` reads requirements files and the web page's lock file; `images` reads the bills of
materials that `make images` writes, and has Trivy scan the images' system packages. OSV_URL names
another server with OSV's API, such as a mirror. Exit codes: 0 nothing found, 1 vulnerabilities
found, 3 not run because the database or Trivy is not there (with AUDIT_REQUIRED=1; otherwise 0, and
the output says so).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

from services.build.images import STATE
from services.platform.checkout import PROJECT

OSV_URL = "https://api.osv.dev"
# The limit of one query: https://google.github.io/osv.dev/post-v1-querybatch/
QUERIES_AT_ONCE = 1000
ANSWER_SECONDS = 30
TRIVY_SECONDS = 600
ACCEPTED = PROJECT / "requirements" / "accepted-vulnerabilities.toml"


class ExitCode(IntEnum):
    CLEAN = 0
    VULNERABLE = 1
    NOT_RUN = 3


class Ecosystem(StrEnum):
    """OSV's names."""

    PYTHON = "PyPI"
    WEB = "npm"


@dataclass(frozen=True, order=True)
class Package:
    ecosystem: Ecosystem
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Finding:
    """A vulnerability in a package, and the files that name the package."""

    package: Package
    vulnerability: str
    files: tuple[str, ...]


class DatabaseAbsentError(Exception):
    """OSV cannot be reached."""


def requirement_packages(text: str) -> Iterator[Package]:
    """The pins of a requirements file."""
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.M):
        yield Package(Ecosystem.PYTHON, _normal(name), version)


def lock_packages(text: str) -> Iterator[Package]:
    """The packages of a package-lock.json."""
    for path, entry in json.loads(text)["packages"].items():
        if path and "version" in entry:
            yield Package(Ecosystem.WEB, path.rpartition("node_modules/")[2], entry["version"])


def bill_packages(text: str) -> Iterator[Package]:
    """The Python packages of a CycloneDX bill of materials."""
    for component in json.loads(text).get("components", ()):
        if str(component.get("purl", "")).startswith("pkg:pypi/"):
            name, version = _normal(component["name"]), component.get("version")
            if version:
                yield Package(Ecosystem.PYTHON, name, version)


def declared(root: Path) -> dict[Package, list[str]]:
    """All pinned packages of the repository, and the files that name each."""
    texts = [
        *sorted((root / "requirements").glob("*.txt")),
        *sorted((root / "images").glob("*/requirements.txt")),
        *sorted((root / "docker").glob("*requirements.txt")),
    ]
    found: dict[Package, list[str]] = {}
    for path in texts:
        _add(found, requirement_packages(path.read_text(encoding="utf-8")), path, root)
    lock = root / "services" / "web" / "package-lock.json"
    _add(found, lock_packages(lock.read_text(encoding="utf-8")), lock, root)
    return found


def built(bills: Path) -> dict[Package, list[str]]:
    """All Python packages inside the built images, and the bills that name each."""
    found: dict[Package, list[str]] = {}
    for path in sorted(bills.glob("*.cdx.json")):
        _add(found, bill_packages(path.read_text(encoding="utf-8")), path, bills)
    return found


def query(packages: Iterable[Package], url: str) -> Iterator[tuple[Package, str]]:
    """The vulnerabilities that OSV knows. Raises DatabaseAbsentError."""
    wanted = sorted(packages)
    for start in range(0, len(wanted), QUERIES_AT_ONCE):
        chunk = wanted[start : start + QUERIES_AT_ONCE]
        queries = [
            {"package": {"ecosystem": one.ecosystem, "name": one.name}, "version": one.version}
            for one in chunk
        ]
        results = _ask(f"{url.rstrip('/')}/v1/querybatch", {"queries": queries})
        for package, result in zip(chunk, results, strict=True):
            for vulnerability in result.get("vulns", ()):
                yield package, vulnerability["id"]


def accepted(text: str, today: date) -> dict[str, str]:
    """Accepted vulnerabilities, id to reason, whose `until` has not passed."""
    entries = tomllib.loads(text).get("vulnerability", [])
    return {entry["id"]: entry["reason"] for entry in entries if entry["until"] >= today}


def audit(
    packages: Mapping[Package, list[str]], url: str, tolerated: Mapping[str, str]
) -> list[Finding]:
    """The vulnerabilities of `packages` that are not accepted. Raises DatabaseAbsentError."""
    return [
        Finding(package, vulnerability, tuple(packages[package]))
        for package, vulnerability in query(packages, url)
        if vulnerability not in tolerated
    ]


def main(arguments: list[str]) -> int:
    if arguments not in (["requirements"], ["images"]):
        sys.stderr.write("usage: python -m services.build.audit requirements|images\n")
        return 2
    images = arguments == ["images"]
    bills = STATE / "sbom"
    packages = built(bills) if images else declared(PROJECT)
    if not packages:
        return _not_run(f"no bills of materials in {bills}; run `make images` first")
    codes = [_audit_packages(packages)]
    if images:
        codes.append(_scan_system_packages(sorted(bills.glob("*.cdx.json"))))
    return ExitCode.VULNERABLE if ExitCode.VULNERABLE in codes else max(codes)


def _audit_packages(packages: Mapping[Package, list[str]]) -> ExitCode:
    tolerated = accepted(ACCEPTED.read_text(encoding="utf-8"), _today())
    url = os.environ.get("OSV_URL", OSV_URL)
    try:
        findings = audit(packages, url, tolerated)
    except DatabaseAbsentError as error:
        return _not_run(f"the vulnerability database {url} cannot be reached ({error})")
    for finding in findings:
        files = ", ".join(finding.files[:3]) + (" ..." if len(finding.files) > 3 else "")
        sys.stdout.write(f"{finding.vulnerability}  {finding.package}  in {files}\n")
    sys.stdout.write(
        f"{len(packages)} packages audited, {len(findings)} vulnerabilities not accepted\n"
    )
    return ExitCode.VULNERABLE if findings else ExitCode.CLEAN


def _scan_system_packages(bills: list[Path]) -> ExitCode:
    """Has Trivy look for known, fixable vulnerabilities of high severity in each image."""
    trivy = shutil.which("trivy")
    if trivy is None:
        return _not_run("Trivy is not installed, so no system package was scanned")
    worst = ExitCode.CLEAN
    for bill in bills:
        # The name that `make images` gives.
        image = f"darkroom/{bill.name.removesuffix('.cdx.json')}:latest"
        command = [
            trivy, "image", "--quiet", "--pkg-types", "os", "--ignore-unfixed",
            "--severity", "HIGH,CRITICAL", "--exit-code", "1", image,
        ]  # fmt: skip
        done = subprocess.run(command, check=False, timeout=TRIVY_SECONDS)
        if done.returncode:
            sys.stdout.write(
                f"{image}: vulnerable, or not scanned (Trivy ended with {done.returncode})\n"
            )
            worst = ExitCode.VULNERABLE
    return worst


def _today() -> date:
    return datetime.now(UTC).date()


def _not_run(reason: str) -> ExitCode:
    sys.stderr.write(f"AUDIT NOT RUN: {reason}\n")
    required = os.environ.get("AUDIT_REQUIRED", "") not in ("", "0")
    return ExitCode.NOT_RUN if required else ExitCode.CLEAN


def _ask(url: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(  # noqa: S310  https, or what OSV_URL says
        url, json.dumps(document).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            results: list[dict[str, Any]] = json.load(answer)["results"]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise DatabaseAbsentError(str(error)) from error
    return results


def _add(
    found: dict[Package, list[str]], packages: Iterable[Package], path: Path, root: Path
) -> None:
    for package in packages:
        files = found.setdefault(package, [])
        name = str(path.relative_to(root))
        if name not in files:
            files.append(name)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
