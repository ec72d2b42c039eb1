"""Password reset: the routes, the e-mail, and what a code allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.accounts import email_limits, passwords
from services.accounts.address_codes import AddressCodes, Purpose
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.events.accounts import AccountEventType
from services.local.mailbox import code_in
from services.platform.errors import TransientError
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import (
    NEW_PASSWORD,
    PASSWORD,
    create_account,
    sign_in,
    slug,
)
from tests.integration.accounts.test_sign_up import deliver

EMAIL = "Grace@Example.com"


@pytest.fixture
def codes(api: Api) -> Iterator[AddressCodes]:
    made = api.fresh.database()
    yield AddressCodes(made)
    made.close()


def ask(api: Api, email: str = EMAIL, address: str = "192.0.2.7") -> Answered:
    return api.call("request-password-reset", {"email": email}, address=address)


def reset(api: Api, password: str = NEW_PASSWORD, **proof: str) -> Answered:
    return api.call("reset-password", {"password": password, **proof})


def emailed(api: Api, email: str = EMAIL) -> list[str]:
    return deliver(api, email, kind=AccountEventType.PASSWORD_RESET_REQUESTED)


def test_request_answers_alike_with_and_without_account(api: Api) -> None:
    create_account(api, EMAIL)
    known, unknown = ask(api), ask(api, "bob@example.com")
    assert (known.status, known.document) == (unknown.status, unknown.document) == (202, None)
    assert known.headers == unknown.headers


def test_address_without_account_gets_no_email(api: Api) -> None:
    assert emailed(api, "nobody@example.com") == []


def test_reset_replaces_the_password_once_and_closes_every_session(api: Api) -> None:
    create_account(api, EMAIL)
    create_account(api, "bob@example.com")
    tokens = [sign_in(api, EMAIL).document["token"] for _ in range(2)]
    other = sign_in(api, "bob@example.com").document["token"]
    (text,) = emailed(api)
    code = code_in(text)
    assert code is not None
    answer = reset(api, email=EMAIL.lower(), code=code)
    assert (answer.status, answer.document) == (204, None)
    assert [api.call("get-session", token=token).status for token in tokens] == [401, 401]
    assert api.call("get-session", token=other).status == 200
    assert sign_in(api, EMAIL, PASSWORD).status == 401
    assert sign_in(api, EMAIL, NEW_PASSWORD).status == 201
    again = reset(api, email=EMAIL, code=code)
    assert (again.status, slug(again)) == (403, "wrong-code")


def test_reset_ends_the_other_codes_of_the_address(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    first, second = (codes.issue(Purpose.PASSWORD_RESET, EMAIL) for _ in range(2))
    assert reset(api, token=second.token).status == 204
    assert reset(api, token=first.token).status == 403


def test_code_expires_after_an_hour(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    issued = codes.issue(Purpose.PASSWORD_RESET, EMAIL)
    with codes.database.transaction() as cursor:
        cursor.execute("UPDATE address_codes SET expires_at = expires_at - interval '1 hour'")
    assert reset(api, token=issued.token).status == 403


def test_sign_up_code_resets_no_password(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    assert reset(api, token=issued.token).status == 403
    assert sign_in(api, EMAIL).status == 201


def test_closed_account_gets_no_email_and_stays_closed(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    issued = codes.issue(Purpose.PASSWORD_RESET, EMAIL)
    users = Users(api.fresh.database())
    user = users.find(EMAIL)
    assert user is not None
    users.request_deletion(user, passwords.DUMMY_HASH)
    users.database.close()
    assert emailed(api) == []
    assert reset(api, token=issued.token).status == 403
    assert sign_in(api, EMAIL, NEW_PASSWORD).status == 401


def test_weak_password_leaves_the_code_valid(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    issued = codes.issue(Purpose.PASSWORD_RESET, EMAIL)
    assert reset(api, EMAIL.upper(), token=issued.token).status == 400
    assert reset(api, token=issued.token).status == 204


def test_outage_of_the_sessions_changes_nothing(
    api: Api, codes: AddressCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api, EMAIL)
    issued = codes.issue(Purpose.PASSWORD_RESET, EMAIL)

    def away(*_: Any) -> None:
        raise TransientError("DynamoDB is unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(SessionStore, "close_all", away)
        assert reset(api, token=issued.token).status == 503
    assert sign_in(api, EMAIL).status == 201
    assert reset(api, token=issued.token).status == 204


def test_requests_are_limited_by_address_whether_it_has_an_account(api: Api) -> None:
    create_account(api, EMAIL)
    for email in (EMAIL, "bob@example.com"):
        for number in range(email_limits.ADDRESS_EMAILS_PER_HOUR):
            assert ask(api, email, f"198.51.100.{number}").status == 202
        answer = ask(api, email)
        assert (answer.status, slug(answer)) == (429, "too-many-attempts")
        assert int(answer.headers["retry-after"]) >= 1
