"""Each kind of alarm in Terraform has a runbook. The others are for requests of people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from services.cli.main import application

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "how-to" / "runbooks"
ALARMS = (ROOT / "terraform/modules/observability/main.tf").read_text(encoding="utf-8")
WORKFLOW = (ROOT / "terraform/modules/workflow/main.tf").read_text(encoding="utf-8")
PAGES = sorted(RUNBOOKS.glob("*.md"))
WITHOUT_ALARM = ("erase-customer", "restore", "stolen-key")


def test_every_alarm_names_a_runbook_that_exists() -> None:
    named = re.findall(r'^ +runbook += "([a-z0-9-]+)"', ALARMS, re.M)
    definitions = re.findall(r"^ +description += ", ALARMS, re.M)
    assert len(named) == len(definitions)
    assert "Runbook: docs/how-to/runbooks/workflow.md" in WORKFLOW
    assert sorted([*named, "workflow", *WITHOUT_ALARM]) == [page.stem for page in PAGES]
    assert "docs/how-to/runbooks/${each.value.runbook}.md" in ALARMS


def test_every_kind_of_alarm_can_be_omitted() -> None:
    variables = (ROOT / "terraform/modules/observability/variables.tf").read_text("utf-8")
    (listed,) = re.findall(r"setsubtract\(var.omitted_alarms, \[(.*?)\]\)", variables)
    named = re.findall(r'^ +runbook += "([a-z0-9-]+)"', ALARMS, re.M)
    assert sorted(re.findall(r'"(.+?)"', listed)) == sorted(set(named))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runbook_has_meaning_steps_and_end(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.M)
    assert headings == ["What it means", "What to do", "It is over when"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_runbook_exist(page: Path) -> None:
    for words in re.findall(r"`darkroom ([a-z -]+)", page.read_text(encoding="utf-8")):
        command = get_command(application())
        first, *rest = words.split()
        command = command.commands[first]  # type: ignore[attr-defined]
        if hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, f"darkroom {words}"
