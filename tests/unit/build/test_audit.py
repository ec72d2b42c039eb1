"""The audit of dependencies against a server with OSV's API."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from services.build import audit
from services.build.audit import Ecosystem, ExitCode, Package
from tests.support.loopback import Received, Reply, Respond, serving

ROOT = Path(__file__).resolve().parents[3]
LOCK = {
    "packages": {
        "": {"name": "web", "version": "1"},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/a/node_modules/@b/c": {"version": "2.0.0"},
    }
}
BILL = {
    "components": [
        {"name": "Pillow", "version": "12.0", "purl": "pkg:pypi/pillow@12.0"},
        {"name": "glibc", "version": "2", "purl": "pkg:rpm/glibc@2"},
    ]
}
ACCEPTED = """
[[vulnerability]]
id = "GHSA-1"
until = 2026-12-31
reason = "not called"
"""


def osv(vulnerable: str) -> Respond:
    """Answers as OSV: the package `vulnerable` has GHSA-1."""

    def respond(request: Received) -> Reply:
        assert request.path == "/v1/querybatch"
        queries = json.loads(request.body)["queries"]
        return Reply(
            200,
            {
                "results": [
                    {"vulns": [{"id": "GHSA-1"}]} if q["package"]["name"] == vulnerable else {}
                    for q in queries
                ]
            },
        )

    return respond


def test_packages_are_read_from_each_kind_of_file() -> None:
    text = (
        "Foo_Bar==1.2 \\\n    --hash=sha256:00\n    # via x\nbaz[extra]==3 ; python_version>'3'\n"
    )
    assert list(audit.requirement_packages(text)) == [
        Package(Ecosystem.PYTHON, "foo-bar", "1.2"),
        Package(Ecosystem.PYTHON, "baz", "3"),
    ]
    assert list(audit.lock_packages(json.dumps(LOCK))) == [
        Package(Ecosystem.WEB, "a", "1.0.0"),
        Package(Ecosystem.WEB, "@b/c", "2.0.0"),
    ]
    assert list(audit.bill_packages(json.dumps(BILL))) == [
        Package(Ecosystem.PYTHON, "pillow", "12.0")
    ]


def test_every_pin_of_the_repository_is_audited() -> None:
    found = audit.declared(ROOT)
    names = {(one.ecosystem, one.name) for one in found}
    assert {
        (Ecosystem.PYTHON, "pillow"),
        (Ecosystem.PYTHON, "checkov"),
        (Ecosystem.WEB, "vite"),
    } < (names)
    (files,) = [files for one, files in found.items() if one.name == "psycopg2-binary"]
    assert "requirements/dev.txt" in files
    assert any(file.startswith("images/") for file in files)


@pytest.mark.parametrize(
    ("vulnerable", "today", "code"),
    [
        ("pillow", date(2027, 1, 1), ExitCode.VULNERABLE),
        ("pillow", date(2026, 12, 31), ExitCode.CLEAN),
        ("none", date(2027, 1, 1), ExitCode.CLEAN),
    ],
)
def test_audit_fails_for_a_vulnerability_that_is_not_accepted(
    vulnerable: str,
    today: date,
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(audit, "_today", lambda: today)
    (tmp_path / "accepted.toml").write_text(ACCEPTED)
    monkeypatch.setattr(audit, "ACCEPTED", tmp_path / "accepted.toml")
    with serving(osv(vulnerable)) as server:
        monkeypatch.setenv("OSV_URL", server.url)
        assert audit.main(["requirements"]) == code
    printed = capsys.readouterr().out
    assert ("GHSA-1  pillow" in printed) is (code is ExitCode.VULNERABLE)
    assert "packages audited" in printed


@pytest.mark.parametrize(("required", "code"), [("1", ExitCode.NOT_RUN), ("", ExitCode.CLEAN)])
def test_audit_without_the_database_says_that_it_did_not_run(
    required: str,
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OSV_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AUDIT_REQUIRED", required)
    assert audit.main(["requirements"]) == code
    assert "AUDIT NOT RUN: the vulnerability database" in capsys.readouterr().err


def test_audit_of_images_reads_their_bills_and_needs_trivy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(audit, "STATE", tmp_path)
    monkeypatch.setenv("AUDIT_REQUIRED", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert audit.main(["images"]) == ExitCode.NOT_RUN
    (tmp_path / "sbom").mkdir()
    (tmp_path / "sbom" / "process-image.cdx.json").write_text(json.dumps(BILL))
    with serving(osv("none")) as server:
        monkeypatch.setenv("OSV_URL", server.url)
        assert audit.main(["images"]) == ExitCode.NOT_RUN
    assert "Trivy is not installed" in capsys.readouterr().err
    (tmp_path / "trivy").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "trivy").chmod(0o755)
    with serving(osv("none")) as server:
        monkeypatch.setenv("OSV_URL", server.url)
        assert audit.main(["images"]) == ExitCode.VULNERABLE


def test_accepted_vulnerabilities_of_the_repository_have_reasons() -> None:
    audit.accepted(audit.ACCEPTED.read_text(encoding="utf-8"), date(2020, 1, 1))
