"""The account's commands of `darkroom`, on a lab: sign-up, reset of the password, export."""

from __future__ import annotations

import io
import json
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.main import main
from services.client import tokens
from services.local.mailbox import latest_code
from services.local.state import LabState
from tests.integration.api.conftest import PASSWORD, Customer
from tests.support.waiting import eventually

DONE = 0


@pytest.fixture
def state(lab: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabState:
    """The lab, for commands with a state folder of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("services.cli.connection.lab.running", lambda: lab)
    return lab


def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    lines: str = "",
) -> tuple[int, str, str]:
    """Runs `darkroom` with `lines` as its input; returns exit code, stdout and stderr."""
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    capsys.readouterr()
    code = main([*arguments])
    out, err = capsys.readouterr()
    return int(code), out, err


def test_users_create_and_reset_password_with_the_codes_of_emails(
    state: LabState, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    email, changed = f"{uuid.uuid4().hex[:12]}@darkroom.example", f"{PASSWORD} reset"
    code, out, _ = run(capsys, monkeypatch, "users", "create", email)
    assert code == DONE
    assert f"users create {email} --name NAME --code CODE" in " ".join(out.split())
    first = eventually(
        lambda: latest_code(Path(state.mail_folder), email), "the code of the sign-up"
    )
    wrong = ("users", "create", email, "--name", "Anna", "--password-stdin", "--code", "0000-0000")
    code, _, err = run(capsys, monkeypatch, *wrong, lines=f"{PASSWORD}\n")
    assert code != DONE
    assert "Wrong or expired code" in err
    code, out, _ = run(
        capsys, monkeypatch, *wrong[:-1], str(first), "--json", lines=f"{PASSWORD}\n"
    )
    assert code == DONE
    assert json.loads(out)["email"] == email

    assert run(capsys, monkeypatch, "users", "reset-password", email)[0] == DONE
    second = eventually(
        lambda: (found := latest_code(Path(state.mail_folder), email)) != first and found,
        "the code of the reset",
    )
    reset = ("users", "reset-password", email, "--password-stdin", "--code", str(second))
    assert run(capsys, monkeypatch, *reset, lines=f"{changed}\n")[0] == DONE
    assert run(capsys, monkeypatch, *reset, lines=f"{changed}\n")[0] != DONE
    login = ("login", email, "--password-stdin")
    assert run(capsys, monkeypatch, *login, lines=f"{PASSWORD}\n")[0] != DONE
    assert run(capsys, monkeypatch, *login, lines=f"{changed}\n")[0] == DONE


def test_users_export_writes_the_document_for_its_owner_only(
    state: LabState,
    new_customer: Callable[..., Customer],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = new_customer()
    tokens.keep(customer.api.url, customer.api.token, tokens.default_file())
    file = tmp_path / "mine.json"
    assert run(capsys, monkeypatch, "users", "export", str(file))[0] == DONE
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["account"]["email"] == customer.email
    assert document["photos"] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
