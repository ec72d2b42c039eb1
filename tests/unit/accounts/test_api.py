"""Validation of accounts and passwords, and the authorizer without a sessions table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.accounts import api, authorize_request, passwords
from services.accounts.api_keys import PREFIX, ApiKeyStore
from services.accounts.authorize_request import AuthorizeRequest
from services.accounts.model import PASSWORD_CHARACTERS_MAX, Role
from services.accounts.sessions import SessionStore
from services.accounts.sign_up_api import Confirmation
from services.platform.errors import PermanentError
from services.platform.functions.access import SessionState
from services.platform.timestamps import format_epoch
from services.platform.validation import InvalidInputError, convert

VALID: dict[str, Any] = {
    "email": "ada@example.com",
    "code": "7K2M-9QXB",
    "name": "Ada Lovelace",
    "password": "correct horse battery",
}


def invalid_fields(**changes: Any) -> list[str]:
    try:
        convert(VALID | changes, Confirmation)
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
def test_email_when_valid_is_accepted(email: str) -> None:
    assert invalid_fields(email=email) == []


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
        "=?utf-8?q?victim=40bank.example=2C?=@example.com",
        f"ada@{'a' * 64}.com",
        f"{'a' * 250}@b.co",
        7,
    ],
)
def test_email_when_invalid_is_rejected(email: Any) -> None:
    assert invalid_fields(email=email) == ["email"]


@pytest.mark.parametrize("name", ["A", "Ada Lovelace", "李小龙", "Ὑπατία", " x ", "n" * 100, "🦊"])
def test_name_when_valid_is_accepted(name: str) -> None:
    assert invalid_fields(name=name) == []


@pytest.mark.parametrize(
    "name", ["", " ", "\u2003", "n" * 101, "a\nb", "a\n", "a\0b", "\x7f", "\tx"]
)
def test_name_when_invalid_is_rejected(name: str) -> None:
    assert invalid_fields(name=name) == ["name"]


def test_password_when_invalid_is_rejected_without_its_value() -> None:
    assert invalid_fields(password="short") == ["password"]
    assert invalid_fields(password="x" * 129) == ["password"]
    with pytest.raises(InvalidInputError) as caught:
        convert(VALID | {"password": "hunter2"}, Confirmation)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidInputError) as caught:
        convert({"email": "ada@example.com", "password": ["hunter2"]}, api.Credentials)
    assert "hunter2" not in str(caught.value)


def test_account_with_several_invalid_fields_reports_all() -> None:
    assert invalid_fields(email="x", name="", password="", extra=1) == [
        "extra",
        "email",
        "name",
        "password",
    ]


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("correct horse", True),
        ("Ada@Example.com", False),
        ("ada@example.com ", True),
        # Twelve code points that normalize to six characters.
        ("e\u0301" * 6, False),
        # One code point normalizes to eighteen characters.
        ("\ufdfa" * 8, False),
        ("seven" + " " * 20, False),
        ("Größe 🦔 ねこ", False),
        ("Größe 🦔 ねこ 写真", True),
        ("correct horse " * 9 + "ab", True),
        ("correct horse " * 9 + "abc", False),
    ],
)
def test_password_requirements(password: str, accepted: bool) -> None:
    assert (passwords.unmet_requirement(password, "ada@example.com") is None) is accepted


def test_password_in_another_unicode_form_matches() -> None:
    password_hash = passwords.hash_password("café crème brûlée")
    assert password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches("cafe\u0301 crème brûlée", password_hash)
    assert not passwords.matches("cafe creme brulee", password_hash)
    assert not passwords.needs_rehash(password_hash)


def test_verify_with_invalid_hash_raises_permanent_error() -> None:
    with pytest.raises(PermanentError, match="not an argon2 hash"):
        passwords.matches("anything", "plain text")


def test_password_is_hashed_to_its_last_character() -> None:
    password = "correct horse " * 9 + "ab"
    assert len(password) == PASSWORD_CHARACTERS_MAX
    password_hash = passwords.hash_password(password)
    assert passwords.matches(password, password_hash)
    assert not passwords.matches(password[:-1] + "c", password_hash)
    assert not passwords.matches(password.replace(" ", "  ", 1)[:-1], password_hash)


def test_dummy_hash_has_current_parameters() -> None:
    assert not passwords.needs_rehash(passwords.DUMMY_HASH)
    assert not passwords.matches("anything", passwords.DUMMY_HASH)


def test_response_models_encode_times_and_password_schema() -> None:
    answered = api.CurrentSession(
        expires_at=format_epoch(1_772_366_400.9),
        user=api.SignedInUser(id="u", email="ada@example.com", role=Role.CUSTOMER),
    )
    assert msgspec.json.decode(msgspec.json.encode(answered))["expires_at"] == (
        "2026-03-01T12:00:00Z"
    )
    schema = msgspec.json.schema(Confirmation)["$defs"]["Confirmation"]["properties"]
    assert schema["password"]["maxLength"] == PASSWORD_CHARACTERS_MAX
    assert schema["password"]["writeOnly"] is True


class Context:
    aws_request_id = "r"
    function_name = "authorize-request"

    def get_remaining_time_in_millis(self) -> int:
        return 1000


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer short",
        "Bearer a b",
        "x" * 9,
        f"Bearer {PREFIX}x",
    ],
)
def test_authorizer_with_invalid_token_reads_no_session(header: str) -> None:
    authorize = AuthorizeRequest(
        SessionStore(dynamodb=None, table="none"), ApiKeyStore(dynamodb=None, table="none")
    ).handle
    for event in ({"identitySource": [header]}, {"headers": {"authorization": header}}, {}):
        assert authorize(event, Context()) == {
            "isAuthorized": True,
            "context": {"session": "unknown"},
        }


def test_authorizer_answers_warmer() -> None:
    authorize = AuthorizeRequest(
        SessionStore(dynamodb=None, table="none"), ApiKeyStore(dynamodb=None, table="none")
    ).handle
    assert authorize({"warmer": True}, Context()) == {"warm": True}


def test_session_states_equal_those_of_access() -> None:
    assert {state.value for state in authorize_request.SessionState} == {
        s.value for s in SessionState
    }
