"""Sessions and attempts on real tables, with a clock that the test moves."""

from __future__ import annotations

import datetime
import hashlib
import json
import threading

import pytest

from services.accounts import rate_limit as limits
from services.accounts import sessions as times
from services.accounts.model import Role, User
from services.accounts.rate_limit import Attempts, TooManyAttemptsError
from services.accounts.roles import change_role
from services.accounts.sessions import Expired, Session, SessionStore
from services.accounts.users import Users
from tests.integration.accounts.conftest import Clock
from tests.integration.conftest import Provisioned

ADA = User(
    "11111111-1111-4111-8111-111111111111",
    "ada@example.com",
    "Ada",
    Role.CUSTOMER,
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "hash",
)
BOB = User(
    "22222222-2222-4222-8222-222222222222",
    "bob@example.com",
    "Bob",
    Role.ADMINISTRATOR,
    ADA.created_at,
    "hash",
)


@pytest.fixture
def store(provisioned: Provisioned, clock: Clock) -> SessionStore:
    return SessionStore(
        provisioned.session.client("dynamodb"), provisioned.lab.table("sessions"), clock
    )


@pytest.fixture
def attempts(provisioned: Provisioned, clock: Clock) -> Attempts:
    return Attempts(
        provisioned.session.client("dynamodb"), provisioned.lab.table("sign-in-attempts"), clock
    )


def items(store: SessionStore | Attempts) -> str:
    return json.dumps(store.dynamodb.scan(TableName=store.table)["Items"])


# -- sessions


def test_a_token_opens_its_session_and_is_not_kept(store: SessionStore, clock: Clock) -> None:
    token, session = store.open(ADA)
    other, _ = store.open(BOB)
    assert len(token) == 43
    assert token != other
    assert store.find(token) == session
    assert (session.user_id, session.email, session.role) == (ADA.id, ADA.email, "customer")
    assert session.expires_at == clock.now + times.IDLE_SECONDS
    assert session.id == hashlib.sha256(token.encode()).hexdigest()
    assert token not in items(store)


def test_a_changed_token_opens_nothing(store: SessionStore) -> None:
    token, session = store.open(ADA)
    changed = [token[:i] + ("A" if c != "A" else "B") + token[i + 1 :] for i, c in enumerate(token)]
    for wrong in [*changed, "", token[:-1], f"{token}A", f" {token}", session.id, "é" * 43]:
        assert store.find(wrong) is None


def test_an_idle_session_ends(store: SessionStore, clock: Clock) -> None:
    token, _ = store.open(ADA)
    clock.now += times.IDLE_SECONDS - 1
    assert isinstance(store.find(token), Session)
    clock.now += times.IDLE_SECONDS - 1
    assert isinstance(store.find(token), Session)
    clock.now += times.IDLE_SECONDS
    # The table still has it, for DynamoDB deletes late.
    assert store.find(token) == Expired()


def test_a_session_in_use_ends_all_the_same(store: SessionStore, clock: Clock) -> None:
    token, opened = store.open(ADA)
    days = 0
    while isinstance(found := store.find(token), Session):
        assert found.expires_at <= opened.ends_at
        clock.now += 24 * 3600
        days += 1
    assert found == Expired()
    assert days == 90


def test_a_session_is_prolonged_once_an_hour(store: SessionStore, clock: Clock) -> None:
    token, opened = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS - 1
    assert store.find(token) == opened
    clock.now += 1
    renewed = store.find(token)
    assert isinstance(renewed, Session)
    assert renewed.expires_at == opened.expires_at + times.RENEWAL_SECONDS
    clock.now += 60
    assert store.find(token) == renewed


def test_a_closed_session_is_not_revived(store: SessionStore, clock: Clock) -> None:
    token, session = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS
    # One request has read the session and is about to prolong it; another closes it.
    store.close(session.id)
    assert store._renew(session, int(clock.now)) is None
    assert store.find(token) is None
    assert items(store) == "[]"
    store.close(session.id)


def test_requests_that_prolong_at_once_all_find_it_open(store: SessionStore, clock: Clock) -> None:
    token, _ = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS
    found: list[Session | Expired | None] = []
    threads = [threading.Thread(target=lambda: found.append(store.find(token))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 10
    assert len(set(found)) == 1
    assert isinstance(found[0], Session)


def test_closing_races_with_use_and_wins(store: SessionStore, clock: Clock) -> None:
    for _ in range(10):
        token, session = store.open(ADA)
        clock.now += times.RENEWAL_SECONDS
        threads = [threading.Thread(target=store.find, args=(token,)) for _ in range(4)]
        threads.insert(2, threading.Thread(target=store.close, args=(session.id,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert store.find(token) is None


def test_all_sessions_of_a_user_are_closed_and_no_others(store: SessionStore) -> None:
    tokens = [store.open(ADA)[0] for _ in range(60)]
    kept, session = store.open(BOB)
    assert store.close_all(ADA.id) == 60
    assert all(store.find(token) is None for token in tokens)
    assert store.find(kept) == session
    assert store.close_all(ADA.id) == 0


def test_a_new_role_signs_out(store: SessionStore, users: Users) -> None:
    user = users.create("ada@example.com", "Ada", "hash")
    token, _ = store.open(user)
    changed = change_role(users, store, "Ada@example.com", Role.ADMINISTRATOR)
    assert changed
    assert changed.role is Role.ADMINISTRATOR
    assert store.find(token) is None
    assert change_role(users, store, "nobody@example.com", Role.ADMINISTRATOR) is None


# -- attempts


def test_an_account_has_so_many_attempts_in_a_window(attempts: Attempts, clock: Clock) -> None:
    start = clock.now
    for number in range(limits.ACCOUNT_ATTEMPTS):
        attempts.count("ada@example.com" if number % 2 else "ADA@example.com", f"192.0.2.{number}")
    clock.now += 100
    with pytest.raises(TooManyAttemptsError) as caught:
        attempts.count("ada@example.com", "192.0.2.200")
    assert caught.value.retry_after_seconds == limits.WINDOW_SECONDS - 100
    attempts.count("bob@example.com", "192.0.2.200")
    clock.now = start + limits.WINDOW_SECONDS
    attempts.count("ada@example.com", "192.0.2.200")


def test_a_success_gives_the_account_its_attempts_back(attempts: Attempts) -> None:
    for _ in range(limits.ACCOUNT_ATTEMPTS):
        attempts.count("ada@example.com", "192.0.2.1")
    attempts.forget("Ada@Example.com")
    for _ in range(limits.ACCOUNT_ATTEMPTS):
        attempts.count("ada@example.com", "192.0.2.1")
    with pytest.raises(TooManyAttemptsError):
        attempts.count("ada@example.com", "192.0.2.1")


def test_an_address_has_so_many_attempts_and_then_locks_nobody_out(attempts: Attempts) -> None:
    for number in range(limits.ADDRESS_ATTEMPTS):
        attempts.count(f"user{number}@example.com", "192.0.2.1")
    for _ in range(limits.ACCOUNT_ATTEMPTS + 1):
        with pytest.raises(TooManyAttemptsError):
            attempts.count("ada@example.com", "192.0.2.1")
    attempts.count("ada@example.com", "192.0.2.2")


def test_a_network_counts_as_one_address(attempts: Attempts) -> None:
    for number in range(limits.ADDRESS_ATTEMPTS):
        attempts.count(f"user{number}@example.com", f"2001:db8:0:1::{number:x}")
    with pytest.raises(TooManyAttemptsError):
        attempts.count("ada@example.com", "2001:db8:0:1:ffff::1")
    attempts.count("ada@example.com", "2001:db8:0:2::1")


def test_attempts_at_once_are_all_counted(attempts: Attempts) -> None:
    refused: list[TooManyAttemptsError] = []

    def attempt() -> None:
        try:
            attempts.count("ada@example.com", "192.0.2.1")
        except TooManyAttemptsError as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(refused) == 25 - limits.ACCOUNT_ATTEMPTS


def test_subjects_cannot_be_read_and_leave_by_themselves(attempts: Attempts, clock: Clock) -> None:
    attempts.count("ada@example.com", "192.0.2.1")
    found = attempts.dynamodb.scan(TableName=attempts.table)["Items"]
    assert len(found) == 2
    for item in found:
        assert clock.now < int(item["expires_at"]["N"]) <= clock.now + limits.WINDOW_SECONDS
    assert "ada" not in items(attempts)
    assert "192.0.2.1" not in items(attempts)
