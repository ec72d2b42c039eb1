"""The account's commands of `darkroom`, on a lab: sign-up, reset of the password, second factor,
export."""

from __future__ import annotations

import io
import json
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.main import main
from services.client import tokens
from services.local.mailbox import latest_code, sent_mails
from services.local.state import LabState
from tests.integration.accounts.test_second_factor import code_of
from tests.integration.api.conftest import PASSWORD, Customer, forget_attempts, sessions
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DONE = 0
SECRET = re.compile(r"Secret: (\w+)")


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
    device = tokens.of_device(state.api, email)
    device_token = tokens.token(device, tokens.default_file())
    assert device_token is not None
    # The second sign-in sends it, so it gets no new one.
    code, out, _ = run(capsys, monkeypatch, *login, "--json", lines=f"{changed}\n")
    assert code == DONE
    assert "token" not in out
    assert tokens.token(device, tokens.default_file()) == device_token


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


class AppUser:
    """The input of a person with an authenticator app: the password, then the code of the secret
    that the command has shown on stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.lines = [PASSWORD]
        self.secret = ""

    def readline(self) -> str:
        if self.lines:
            return f"{self.lines.pop()}\n"
        found = SECRET.search(self.capsys.readouterr().err)
        assert found
        self.secret = found[1]
        return f"{code_of(self.secret)}\n"


def notices(state: LabState, email: str) -> set[str]:
    """The subjects of the e-mails to an address."""
    found = sent_mails(Path(state.mail_folder))
    return {mail.subject for mail in found if mail.recipient == email}


def test_second_factor_commands_set_up_use_remove_and_reset_it(
    state: LabState,
    new_customer: Callable[..., Customer],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = new_customer()
    email = customer.email
    tokens.keep(customer.api.url, customer.api.token, tokens.default_file())

    def darkroom(*arguments: str, lines: str = "") -> tuple[int, str, str]:
        return run(capsys, monkeypatch, *arguments, lines=lines)

    def enabled() -> tuple[AppUser, list[str]]:
        """Sets it up; returns the app and the recovery codes."""
        app = AppUser(capsys)
        monkeypatch.setattr("sys.stdin", app)
        assert main(["second-factor", "enable", "--password-stdin", "--json"]) == DONE
        document = json.loads(capsys.readouterr().out)
        assert document["enabled"] is True
        return app, document["recovery_codes"]

    assert json.loads(darkroom("second-factor", "status", "--json")[1])["enabled"] is False
    app, recovery = enabled()
    assert "on, with 10 recovery codes left" in darkroom("second-factor", "status")[1]

    login = ("login", email, "--password-stdin")
    code, _, err = darkroom(*login, "--code", "000000", lines=f"{PASSWORD}\n")
    assert code != DONE
    assert app.secret not in err
    # The code is the second line of stdin where the account needs one.
    assert darkroom(*login, lines=f"{PASSWORD}\n{code_of(app.secret, 1)}\n")[0] == DONE
    assert darkroom(*login, "--code", recovery[0], lines=f"{PASSWORD}\n")[0] == DONE

    disable = ("second-factor", "disable", "--password-stdin")
    assert darkroom(*disable, lines=f"{PASSWORD}\n000000\n")[0] != DONE
    assert darkroom(*disable, "--code", recovery[1], lines=f"{PASSWORD}\n")[0] == DONE
    assert "is off" in darkroom("second-factor", "status")[1]

    monkeypatch.setattr("services.cli.database.lab.running", lambda: state)
    forget_attempts(state)
    enabled()
    assert darkroom("users", "reset-second-factor", "nobody@darkroom.example")[0] != DONE
    code, out, _ = darkroom("users", "reset-second-factor", email, "--json")
    assert (code, json.loads(out)["removed"]) == (DONE, True)
    assert sessions(state).newest(customer.user_id, 10) == []
    assert darkroom(*login, lines=f"{PASSWORD}\n")[0] == DONE
    trail = (tmp_path / "darkroom" / "audit.jsonl").read_text(encoding="utf-8")
    assert trail.count('"action": "reset-second-factor"') == 2
    assert email not in trail

    expected = {"Your second factor is on", "Your second factor is off"}
    expected.add("Your second factor was reset")
    eventually(lambda: expected <= notices(state, email), "the notices arrive")


def test_notice_of_a_sign_in_from_a_new_network_arrives_in_the_mailbox(
    state: LabState, new_customer: Callable[..., Customer]
) -> None:
    customer = new_customer()
    with state.database().transaction() as cursor:
        day_ago = "UPDATE users SET created_at = now() - interval '1 day' WHERE email = %s"
        cursor.execute(day_ago, [customer.email])
    subject = "New sign-in to your account"
    customer.api.sign_in(customer.email, PASSWORD)  # from the network of the first sign-in
    forget_attempts(state)
    customer.api.sign_in(customer.email, PASSWORD)
    eventually(lambda: subject in notices(state, customer.email), "the notice arrives")
    mails = sent_mails(Path(state.mail_folder))
    (mail,) = [m for m in mails if m.recipient == customer.email and m.subject == subject]
    assert "change your password" in " ".join(mail.text.split())


def test_notice_of_a_changed_password_arrives_in_the_mailbox(
    state: LabState, new_customer: Callable[..., Customer]
) -> None:
    customer = new_customer()
    customer.api.change_password(PASSWORD, f"{PASSWORD} changed")
    subject = "Your password was changed"
    eventually(lambda: subject in notices(state, customer.email), "the notice arrives")
    customer.api.request_password_reset(customer.email)
    code = eventually(
        lambda: latest_code(Path(state.mail_folder), customer.email), "the code of the reset"
    )
    customer.api.reset_password(customer.email, str(code), f"{PASSWORD} reset")

    def arrived() -> list[str]:
        mails = sent_mails(Path(state.mail_folder))
        own = [m for m in mails if m.recipient == customer.email and m.subject == subject]
        return [m.text for m in own] if len(own) == 2 else []

    texts = eventually(arrived, "the notice of the reset arrives")
    assert all("If it was not you" in text for text in texts)
    assert not any(PASSWORD in text or str(code) in text for text in texts)
