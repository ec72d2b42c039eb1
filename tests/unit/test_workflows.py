"""The pipeline of GitHub Actions: no stored credentials, and only commands that exist.

`make actionlint` checks the form of the workflows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from services.cli import main
from services.local.state import PROJECT

FOLDER = PROJECT / ".github" / "workflows"
PIPELINE, RELEASE = "pipeline.yml", "release.yml"
CREDENTIALS = "aws-actions/configure-aws-credentials"


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return document


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs of the pipeline and of a release, by name."""
    for name in (PIPELINE, RELEASE):
        yield from workflow(name)["jobs"].items()


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job.get("steps", ()))


def test_jobs_have_no_stored_credentials_and_ask_for_a_token_only_for_aws() -> None:
    for name in (PIPELINE, RELEASE):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "secrets." not in text
        assert "access-key" not in text
        assert workflow(name)["permissions"] == {"contents": "read"}
    for name, job in jobs():
        roles = [s for s in job.get("steps", ()) if s.get("uses", "").startswith(CREDENTIALS)]
        token = job.get("permissions", {}).get("id-token") == "write"
        assert token == bool(roles or job.get("uses")), name
        assert all("role-to-assume" in step["with"] for step in roles), name


def test_every_job_of_the_pipeline_is_skipped_without_an_account() -> None:
    for name, job in workflow(PIPELINE)["jobs"].items():
        assert "vars.AWS_REGION != ''" in job.get("if", "") or "needs" in job, name


def test_plan_of_a_pull_request_is_posted_and_forks_get_none() -> None:
    plan = workflow(PIPELINE)["jobs"]["plan"]
    assert "head.repo.full_name == github.repository" in plan["if"]
    assert "darkroom plan" in commands(plan)
    assert "gh pr comment" in commands(plan)


def test_images_are_scanned_before_they_are_pushed() -> None:
    text = commands(workflow(PIPELINE)["jobs"]["images"])
    order = ["make terraform-scan", "make images", "make audit-images", "make push"]
    assert sorted(order, key=text.index) == order


def test_production_follows_development_by_an_environment_with_reviewers() -> None:
    pipeline = workflow(PIPELINE)["jobs"]
    assert (pipeline["development"]["needs"], pipeline["production"]["needs"]) == (
        "images", "development",
    )  # fmt: skip
    release = workflow(RELEASE)["jobs"]["release"]
    assert release["environment"] == "${{ inputs.environment }}"
    assert [pipeline[name]["with"]["environment"] for name in ("development", "production")] == [
        "development", "production",
    ]  # fmt: skip
    assert release["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize(
    ("job", "command"),
    [("drift", "--fail-on-changes"), ("restore-drill", "darkroom restore-drill")],
)
def test_scheduled_job_runs_by_its_schedule_and_fails_with_its_command(
    job: str, command: str
) -> None:
    pipeline: Any = workflow(PIPELINE)
    found = pipeline["jobs"][job]
    crons = [one["cron"] for one in pipeline[True]["schedule"]]
    assert sum(f"github.event.schedule == '{cron}'" in found["if"] for cron in crons) == 1
    (step,) = [step for step in found["steps"] if command in step.get("run", "")]
    # `bash` has GitHub set pipefail: the command's exit code is not lost in a pipe.
    assert step["shell"] == "bash"


def test_commands_and_targets_exist() -> None:
    makefiles = [
        PROJECT / "Makefile",
        *PROJECT.glob("*/Makefile.inc"),
        *PROJECT.glob("*/*/Makefile.inc"),
    ]
    targets = set(re.findall(r"^([a-z-]+):", "\n".join(f.read_text() for f in makefiles), re.M))
    used = "\n".join(commands(job) for _, job in jobs())
    assert set(re.findall(r"\bmake ([a-z-]+)", used)) <= targets
    named = set(re.findall(r"darkroom ([a-z-]+)", used))
    assert named == {"plan", "restore-drill"}
    for name in named:
        assert main.main([name, "--help"]) == 0
