"""Which accounts and passwords are taken, and what is said of those that are not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.accounts import api, authorize_request, passwords
from services.accounts.authorize_request import Authorizer
from services.accounts.model import PASSWORD_CHARACTERS_MAX, Role
from services.accounts.sessions import SessionStore
from services.platform.errors import PermanentError
from services.platform.functions.access import SessionState
from services.platform.validation import InvalidInputError, convert

GOOD: dict[str, Any] = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "password": "correct horse battery",
}


def mistakes(**changes: Any) -> list[str]:
    try:
        convert(GOOD | changes, api.NewAccount)
    except InvalidInputError as error:
        return [e.field for e in error.errors]
    return []


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com",
        "a@b.co",
        "Ada.King+lab@Mail.Example.COM",
        "o'neil_%x@sub-domain.example.museum",
        f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.io",
        "ada@xn--bcher-kva.example",
    ],
)
def test_addresses(email: str) -> None:
    assert mistakes(email=email) == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@localhost",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@-example.com",
        "ada@example-.com",
        "ada@example..com",
        "ada@example.com.",
        "ada@example.c",
        "ada@127.0.0.1",
        "ada@example.com\n",
        "ada\0@example.com",
        "ädä@example.com",
        "ada@exämple.com",
        f"ada@{'a' * 64}.com",
        f"{'a' * 250}@b.co",
        7,
        None,
    ],
)
def test_no_addresses(email: Any) -> None:
    assert mistakes(email=email) == ["email"]


@pytest.mark.parametrize("name", ["A", "Ada Lovelace", "李小龙", "Ὑπατία", " x ", "n" * 100, "🦊"])
def test_names(name: str) -> None:
    assert mistakes(name=name) == []


@pytest.mark.parametrize(
    "name", ["", " ", "\u2003", "n" * 101, "a\nb", "a\n", "a\0b", "\x7f", "\tx"]
)
def test_no_names(name: str) -> None:
    assert mistakes(name=name) == ["name"]


def test_a_password_is_long_and_not_shown() -> None:
    assert mistakes(password="short") == ["password"]
    assert mistakes(password="x" * 129) == ["password"]
    with pytest.raises(InvalidInputError) as caught:
        convert(GOOD | {"password": "hunter2"}, api.NewAccount)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidInputError) as caught:
        convert({"email": "ada@example.com", "password": ["hunter2"]}, api.Credentials)
    assert "hunter2" not in str(caught.value)


def test_all_mistakes_are_named_at_once() -> None:
    assert mistakes(email="x", name="", password="", extra=1) == [
        "extra",
        "email",
        "name",
        "password",
    ]


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("correct horse", True),
        ("Ada@Example.com", False),
        ("ada@example.com ", True),
        # Twelve code points that are six characters.
        ("e\u0301" * 6, False),
        # One that stands for eighteen.
        ("\ufdfa" * 8, False),
    ],
)
def test_what_is_no_password(password: str, good: bool) -> None:
    assert (passwords.objection(password, "ada@example.com") is None) is good


def test_a_password_matches_however_its_characters_are_composed() -> None:
    kept = passwords.hashed("café crème brûlée")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches("cafe\u0301 crème brûlée", kept)
    assert not passwords.matches("cafe creme brulee", kept)
    assert not passwords.is_outdated(kept)


def test_a_hash_that_is_none_is_a_fault_of_ours() -> None:
    with pytest.raises(PermanentError, match="expected an argon2 hash"):
        passwords.matches("anything", "plain text")


def test_nobodys_hash_costs_what_everybodys_does() -> None:
    assert not passwords.is_outdated(passwords.NOBODYS_HASH)
    assert not passwords.matches("anything", passwords.NOBODYS_HASH)


def test_the_answers_fit_their_own_models() -> None:
    answered = api.CurrentSession(
        expires_at=api.timestamp(1_772_366_400.9),
        user=api.SignedInUser(id="u", email="ada@example.com", role=Role.CUSTOMER),
    )
    assert msgspec.json.decode(msgspec.json.encode(answered))["expires_at"] == (
        "2026-03-01T12:00:00Z"
    )
    schema = msgspec.json.schema(api.NewAccount)["$defs"]["NewAccount"]["properties"]
    assert schema["password"]["maxLength"] == PASSWORD_CHARACTERS_MAX
    assert schema["password"]["writeOnly"] is True


class Context:
    aws_request_id = "r"
    function_name = "authorize-request"

    def get_remaining_time_in_millis(self) -> int:
        return 1000


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer short", "Bearer a b", "x" * 9]
)
def test_what_is_no_token_is_not_looked_up(header: str) -> None:
    ask = Authorizer(SessionStore(dynamodb=None, table="none"))
    for event in ({"identitySource": [header]}, {"headers": {"authorization": header}}, {}):
        assert ask(event, Context()) == {"isAuthorized": True, "context": {"session": "unknown"}}


def test_a_warmer_is_answered() -> None:
    ask = Authorizer(SessionStore(dynamodb=None, table="none"))
    assert ask({"warmer": True}, Context()) == {"warm": True}


def test_the_authorizer_speaks_of_sessions_as_the_wrapper_does() -> None:
    assert {state.value for state in authorize_request.SessionState} == {
        s.value for s in SessionState
    }
