"""`darkroom sessions`: lists and ends the caller's sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.main import main
from services.client import tokens
from services.client.api import Api
from services.local.state import LabState
from tests.integration.api.conftest import PASSWORD, Customer

DONE, USAGE = 0, 2


@pytest.fixture
def customer(
    lab: LabState,
    new_customer: Callable[..., Customer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Customer:
    """A customer with three sessions, one of which the command line uses."""
    made = new_customer()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("services.cli.connection.lab.running", lambda: lab)
    other = Api(lab.api)
    for _ in range(2):
        other.sign_in(made.email, PASSWORD)
    other.close()
    tokens.keep(made.api.url, made.api.token, tokens.default_file())
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs `darkroom sessions`; returns exit code, stdout and stderr."""
    capsys.readouterr()
    code = main(["sessions", *arguments])
    out, err = capsys.readouterr()
    return int(code), out, err


def listed(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, bool]]:
    code, out, _ = run(capsys, "list", "--json")
    assert code == DONE
    return [(session["id"], session["current"]) for session in json.loads(out)]


def test_sessions_end_closes_one_then_all_others(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listed(capsys)
    assert sorted(current for _, current in before) == [False, False, True]
    mine = next(id_ for id_, current in before if current)
    chosen = next(id_ for id_, current in before if not current)

    assert run(capsys, "end", chosen[:12])[0] == DONE
    assert {id_ for id_, _ in listed(capsys)} == {id_ for id_, _ in before} - {chosen}
    assert run(capsys, "end", "--others", "--json")[1].strip()
    assert listed(capsys) == [(mine, True)]
    assert "this one" in run(capsys, "list")[1]


@pytest.mark.parametrize("arguments", [(), ("0" * 32,), ("0" * 32, "--others")])
def test_sessions_end_with_wrong_arguments_ends_none(
    customer: Customer, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, "end", *arguments)
    assert (code, out, bool(err)) == (USAGE, "", True)
    assert len(listed(capsys)) == 3
