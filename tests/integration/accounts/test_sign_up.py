"""Sign-up: the routes, the e-mail, and what a code allows."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from services.accounts import email_limits, passwords
from services.accounts.address_codes import AddressCodes, Proof, Purpose
from services.events.accounts import AccountEventType, account_event
from services.local.mailbox import code_in
from services.platform.errors import TransientError
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import PASSWORD, create_account, sign_in, slug
from tests.support.waiting import HTTP_SECONDS, scaled

EMAIL = "Ada@Example.com"


@pytest.fixture
def codes(api: Api) -> Iterator[AddressCodes]:
    made = api.fresh.database()
    yield AddressCodes(made)
    made.close()


def sign_up(api: Api, email: str = EMAIL, address: str = "192.0.2.7") -> Answered:
    return api.call("create-user", {"email": email}, address=address)


def confirm(api: Api, address: str = "192.0.2.7", **fields: str) -> Answered:
    body = {"name": "Ada", "password": PASSWORD, **fields}
    return api.call("confirm-user", body, address=address)


def deliver(
    api: Api,
    email: str = EMAIL,
    count: int = 1,
    kind: AccountEventType = AccountEventType.SIGN_UP_REQUESTED,
) -> list[str]:
    """Delivers a request for an e-mail `count` times; the texts of the e-mails that are sent."""
    event = account_event(kind, email)
    document = {
        "id": event.id, "type": event.type.value, "time": event.time, "data": {"email": email}
    }  # fmt: skip
    record = {"messageId": "m", "body": json.dumps(document), "eventSource": "aws:sqs"}
    before = len(sent_to(api, email))
    for _ in range(count):
        answer = api.invoke("send-account-email", {"Records": [record]})
        assert answer == {"batchItemFailures": []}
    return sent_to(api, email)[before:]


def sent_to(api: Api, recipient: str) -> list[str]:
    """The texts of the e-mails that SES got."""
    url = f"{api.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=scaled(HTTP_SECONDS)) as answer:
        sent = json.load(answer)
    return [
        mail["BodyText"]
        for account in sent["messages"].values()
        for mail in account
        if mail["To"] == [recipient]
    ]


def rows(codes: AddressCodes) -> list[Any]:
    with codes.database.transaction() as cursor:
        cursor.execute("SELECT token_hash, purpose, email, code_hash FROM address_codes")
        return [*cursor.fetchall()]


def test_sign_up_answers_alike_for_new_and_taken_addresses(api: Api) -> None:
    create_account(api, EMAIL)
    taken, new = sign_up(api), sign_up(api, "bob@example.com")
    assert (taken.status, taken.document) == (new.status, new.document) == (202, None)
    assert taken.headers == new.headers


def test_sign_up_reads_no_account(api: Api) -> None:
    assert sign_up(api).status == 202
    assert not hasattr(api.loaded["create-user"], "database")


def test_code_from_the_email_creates_the_account_once(api: Api) -> None:
    (text,) = deliver(api)
    code = code_in(text)
    assert code is not None
    assert sign_in(api, EMAIL).status == 401
    answer = confirm(api, email="ada@example.com", code=code.lower().replace("-", " "))
    assert answer.status == 201
    made = answer.document
    assert answer.headers["location"] == f"/users/{made['id']}"
    assert (made["email"], made["name"], made["role"]) == (EMAIL, "Ada", "customer")
    assert sign_in(api, EMAIL).document["user"] == made
    again = confirm(api, email=EMAIL, code=code)
    assert (again.status, slug(again)) == (403, "wrong-code")


def test_email_to_new_address_has_no_word_of_who_signed_up(api: Api) -> None:
    (text,) = deliver(api)
    assert "Hello" not in text
    assert "List-Unsubscribe" not in text


def test_email_to_taken_address_says_so_and_has_no_code(api: Api, codes: AddressCodes) -> None:
    create_account(api, EMAIL)
    (text,) = deliver(api, EMAIL.lower())
    assert "You already have an account" in text
    assert code_in(text) is None
    assert rows(codes) == []


def test_second_delivery_sends_nothing_and_keeps_the_code_valid(api: Api) -> None:
    (text,) = deliver(api, count=3)
    code = code_in(text)
    assert code is not None
    assert confirm(api, email=EMAIL, code=code).status == 201


def test_confirmation_takes_the_password_of_who_has_the_code(api: Api, codes: AddressCodes) -> None:
    """Others may ask for codes before and after: the account is that of the first who has one."""
    stranger = codes.issue(Purpose.SIGN_UP, EMAIL.lower())
    owner = codes.issue(Purpose.SIGN_UP, EMAIL)
    assert confirm(api, token=owner.token, password="the owner chose this").status == 201
    assert sign_in(api, EMAIL, "the owner chose this").status == 201
    late = confirm(api, token=stranger.token)
    assert (late.status, slug(late)) == (403, "wrong-code")


def test_confirmation_of_address_with_account_returns_409(api: Api, codes: AddressCodes) -> None:
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    create_account(api, EMAIL)
    answer = confirm(api, token=issued.token)
    assert (answer.status, slug(answer)) == (409, "email-taken")


def test_database_holds_only_hashes(codes: AddressCodes) -> None:
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    text = json.dumps(rows(codes))
    assert issued.token not in text
    assert issued.code.replace("-", "") not in text
    assert issued.token not in repr(issued)


def test_expired_code_is_refused_and_deleted(api: Api, codes: AddressCodes) -> None:
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    valid = codes.issue(Purpose.PASSWORD_RESET, EMAIL)
    with codes.database.transaction() as cursor:
        cursor.execute(
            "UPDATE address_codes SET expires_at = expires_at - interval '24 hours' "
            "WHERE purpose = 'sign-up'"
        )
    assert confirm(api, token=issued.token).status == 403
    assert codes.delete_expired() == 1
    assert codes.find(Purpose.PASSWORD_RESET, Proof(valid.token)) is not None


def test_code_is_valid_for_its_address_and_purpose_only(api: Api, codes: AddressCodes) -> None:
    reset = codes.issue(Purpose.PASSWORD_RESET, EMAIL)
    other = codes.issue(Purpose.SIGN_UP, "bob@example.com")
    assert confirm(api, token=reset.token).status == 403
    assert confirm(api, email=EMAIL, code=reset.code).status == 403
    assert confirm(api, email=EMAIL, code=other.code).status == 403


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"email": EMAIL},
        {"code": "7K2M-9QXB"},
        {"token": "x" * 43, "email": EMAIL, "code": "7K2M-9QXB"},
        {"token": "x" * 43, "code": "7K2M-9QXB"},
    ],
)
def test_confirmation_without_exactly_one_proof_returns_400(
    api: Api, proof: dict[str, str]
) -> None:
    answer = confirm(api, **proof)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert "7K2M" not in json.dumps(answer.document)


def test_weak_password_leaves_the_code_valid(api: Api, codes: AddressCodes) -> None:
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    own = confirm(api, token=issued.token, password=EMAIL.upper())
    assert (own.status, own.document["errors"][0]["field"]) == (400, "password")
    assert confirm(api, token=issued.token, password="hunter2").status == 400
    assert confirm(api, token=issued.token).status == 201


def test_wrong_code_hashes_no_password(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "hash_password", lambda _: pytest.fail("hashed the password"))
    assert confirm(api, email=EMAIL, code="0000-0000").status == 403


def test_guesses_of_a_code_are_limited_and_the_link_still_works(
    api: Api, codes: AddressCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = codes.issue(Purpose.SIGN_UP, EMAIL)
    monkeypatch.setattr(email_limits, "ADDRESS_GUESSES_PER_HOUR", 3)
    for number in range(3):
        guess = confirm(api, address=f"198.51.100.{number}", email=EMAIL, code="0000-0000")
        assert guess.status == 403
    refused = confirm(api, email=EMAIL, code=issued.code)
    assert (refused.status, slug(refused)) == (429, "too-many-attempts")
    assert confirm(api, token=issued.token).status == 201


def test_guesses_are_limited_by_network(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_limits, "NETWORK_GUESSES_PER_HOUR", 3)
    for number in range(3):
        guess = confirm(api, email=f"user{number}@example.com", code="0000-0000")
        assert guess.status == 403
    refused = confirm(api, email="another@example.com", code="0000-0000")
    assert (refused.status, slug(refused)) == (429, "too-many-attempts")
    assert confirm(api, "198.51.100.1", email=EMAIL, code="0000-0000").status == 403


def test_emails_are_limited_by_address_whether_it_has_an_account(api: Api) -> None:
    create_account(api, "bob@example.com")
    for email in (EMAIL, "bob@example.com"):
        for number in range(email_limits.ADDRESS_EMAILS_PER_HOUR):
            assert sign_up(api, email, f"198.51.100.{number}").status == 202
        answer = sign_up(api, email.upper())
        assert (answer.status, slug(answer)) == (429, "too-many-attempts")
        assert 1 <= int(answer.headers["retry-after"]) <= email_limits.DAY_SECONDS


def test_emails_are_limited_by_network(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_limits, "NETWORK_EMAILS_PER_HOUR", 3)
    for number in range(3):
        assert sign_up(api, f"user{number}@example.com").status == 202
    assert sign_up(api, "another@example.com").status == 429
    assert sign_up(api, "another@example.com", "198.51.100.1").status == 202


def test_sign_up_during_outage_uses_up_no_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_limits, "NETWORK_EMAILS_PER_HOUR", 2)

    def away(*_: Any) -> None:
        raise TransientError("SNS is unavailable")

    with monkeypatch.context() as patched:
        patched.setattr("services.accounts.email_requests.publish", away)
        for _ in range(5):
            assert sign_up(api).status == 503
    assert sign_up(api).status == 202
