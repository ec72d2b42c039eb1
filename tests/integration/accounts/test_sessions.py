"""Sessions and the sign-in limit on real tables, with a manual clock."""

from __future__ import annotations

import datetime
import hashlib
import json
import threading

import pytest

from services.accounts import rate_limit
from services.accounts import sessions as times
from services.accounts.model import Role, User
from services.accounts.rate_limit import SignInLimit
from services.accounts.roles import change_role
from services.accounts.sessions import Expired, Session, SessionStore
from services.accounts.users import Users
from services.platform.counters import LimitExceededError
from tests.integration.conftest import Provisioned
from tests.support.clock import Clock
from tests.support.waiting import scaled

ADA = User(
    "11111111-1111-4111-8111-111111111111",
    "ada@example.com",
    "Ada",
    Role.CUSTOMER,
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
)
BOB = User(
    "22222222-2222-4222-8222-222222222222",
    "bob@example.com",
    "Bob",
    Role.ADMINISTRATOR,
    ADA.created_at,
)


@pytest.fixture
def store(provisioned: Provisioned, clock: Clock) -> SessionStore:
    return SessionStore(
        provisioned.session.client("dynamodb"), provisioned.lab.table("sessions"), clock
    )


@pytest.fixture
def limit(provisioned: Provisioned, clock: Clock) -> SignInLimit:
    return SignInLimit(
        provisioned.session.client("dynamodb"), provisioned.lab.table("sign-in-attempts"), clock
    )


def items(store: SessionStore | SignInLimit) -> str:
    return json.dumps(store.dynamodb.scan(TableName=store.table)["Items"])


# -- sessions


def test_open_stores_only_the_hash_of_the_token(store: SessionStore, clock: Clock) -> None:
    token, session = store.open(ADA)
    other, _ = store.open(BOB)
    assert len(token) == 43
    assert token != other
    assert store.find(token) == session
    assert (session.user_id, session.email, session.role) == (ADA.id, ADA.email, "customer")
    assert session.expires_at == clock.now + times.IDLE_SECONDS
    assert session.id == hashlib.sha256(token.encode()).hexdigest()
    assert token not in items(store)


def test_find_with_changed_token_returns_none(store: SessionStore) -> None:
    token, session = store.open(ADA)
    changed = [token[:i] + ("A" if c != "A" else "B") + token[i + 1 :] for i, c in enumerate(token)]
    for wrong in [*changed, "", token[:-1], f"{token}A", f" {token}", session.id, "é" * 43]:
        assert store.find(wrong) is None


def test_find_after_idle_time_returns_expired(store: SessionStore, clock: Clock) -> None:
    token, _ = store.open(ADA)
    clock.now += times.IDLE_SECONDS - 1
    assert isinstance(store.find(token), Session)
    clock.now += times.IDLE_SECONDS - 1
    assert isinstance(store.find(token), Session)
    clock.now += times.IDLE_SECONDS
    # DynamoDB deletes late: the item is still there.
    assert store.find(token) == Expired()


def test_session_in_use_expires_after_90_days(store: SessionStore, clock: Clock) -> None:
    token, opened = store.open(ADA)
    days = 0
    while isinstance(found := store.find(token), Session):
        assert found.expires_at <= opened.ends_at
        clock.now += 24 * 3600
        days += 1
    assert found == Expired()
    assert days == 90


def test_session_in_use_is_renewed_once_an_hour(store: SessionStore, clock: Clock) -> None:
    token, opened = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS - 1
    assert store.find(token) == opened
    clock.now += 1
    renewed = store.find(token)
    assert isinstance(renewed, Session)
    assert renewed.expires_at == opened.expires_at + times.RENEWAL_SECONDS
    clock.now += 60
    assert store.find(token) == renewed


def test_renewal_of_closed_session_does_not_reopen_it(store: SessionStore, clock: Clock) -> None:
    token, session = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS
    # One request has read the session and is about to renew it; another closes it.
    store.close(session.id)
    assert store._renew(session, int(clock.now)) is None
    assert store.find(token) is None
    assert items(store) == "[]"
    store.close(session.id)


def test_concurrent_renewals_all_return_the_session(store: SessionStore, clock: Clock) -> None:
    token, _ = store.open(ADA)
    clock.now += times.RENEWAL_SECONDS
    found: list[Session | Expired | None] = []
    threads = [threading.Thread(target=lambda: found.append(store.find(token))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(20))
    assert len(found) == 10
    assert len(set(found)) == 1
    assert isinstance(found[0], Session)


def test_close_concurrent_with_renewals_wins(store: SessionStore, clock: Clock) -> None:
    for _ in range(10):
        token, session = store.open(ADA)
        clock.now += times.RENEWAL_SECONDS
        threads = [threading.Thread(target=store.find, args=(token,)) for _ in range(4)]
        threads.insert(2, threading.Thread(target=store.close, args=(session.id,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(scaled(20))
        assert store.find(token) is None


def test_close_all_closes_only_the_sessions_of_the_user(store: SessionStore) -> None:
    tokens = [store.open(ADA)[0] for _ in range(60)]
    other_token, session = store.open(BOB)
    assert store.close_all(ADA.id) == 60
    assert all(store.find(token) is None for token in tokens)
    assert store.find(other_token) == session
    assert store.close_all(ADA.id) == 0


def test_change_role_closes_the_sessions_of_the_user(store: SessionStore, users: Users) -> None:
    user = users.create("ada@example.com", "Ada", "hash")
    token, _ = store.open(user)
    changed = change_role(users, store, "Ada@example.com", Role.ADMINISTRATOR)
    assert changed
    assert changed.role is Role.ADMINISTRATOR
    assert store.find(token) is None
    assert change_role(users, store, "unknown@example.com", Role.ADMINISTRATOR) is None


# -- sign-in limit


def test_account_over_its_limit_is_rejected_until_the_window_ends(
    limit: SignInLimit, clock: Clock
) -> None:
    start = clock.now
    for number in range(rate_limit.ACCOUNT_ATTEMPTS):
        limit.count("ada@example.com" if number % 2 else "ADA@example.com", f"192.0.2.{number}")
    clock.now += 100
    with pytest.raises(LimitExceededError) as caught:
        limit.count("ada@example.com", "192.0.2.200")
    assert caught.value.retry_after_seconds == rate_limit.WINDOW_SECONDS - 100
    limit.count("bob@example.com", "192.0.2.200")
    clock.now = start + rate_limit.WINDOW_SECONDS
    limit.count("ada@example.com", "192.0.2.200")


def test_successful_attempts_use_up_no_limit(limit: SignInLimit) -> None:
    """Many users of one network, and one user of many networks."""
    for number in range(rate_limit.ADDRESS_ATTEMPTS + 10):
        limit.succeeded(limit.count(f"user{number}@example.com", "192.0.2.1"))
        limit.succeeded(limit.count("ada@example.com", f"198.51.100.{number}"))
    limit.count("eve@example.com", "192.0.2.1")
    limit.count("ada@example.com", "203.0.113.1")


def test_owner_on_known_network_is_not_locked_out_by_others(limit: SignInLimit) -> None:
    limit.succeeded(limit.count("ada@example.com", "192.0.2.1"))
    # An attacker from many networks, and one in the owner's network who tries other accounts.
    for number in range(rate_limit.ACCOUNT_ATTEMPTS):
        limit.count("ada@example.com", f"198.51.100.{number}")
    for number in range(rate_limit.ADDRESS_ATTEMPTS):
        limit.count(f"user{number}@example.com", "192.0.2.1")
    for address in ("198.51.100.200", "203.0.113.1"):
        with pytest.raises(LimitExceededError):
            limit.count("ada@example.com", address)
    limit.succeeded(limit.count("Ada@example.com", "192.0.2.1"))
    # Her success does not unlock the account for the attacker.
    with pytest.raises(LimitExceededError):
        limit.count("ada@example.com", "198.51.100.200")


def test_failures_on_known_network_are_limited_until_a_success(limit: SignInLimit) -> None:
    limit.succeeded(limit.count("ada@example.com", "192.0.2.1"))
    for _ in range(rate_limit.ACCOUNT_ATTEMPTS - 1):
        limit.count("ada@example.com", "192.0.2.1")
    limit.succeeded(limit.count("ada@example.com", "192.0.2.1"))
    for _ in range(rate_limit.ACCOUNT_ATTEMPTS):
        limit.count("ada@example.com", "192.0.2.1")
    with pytest.raises(LimitExceededError):
        limit.count("ada@example.com", "192.0.2.1")
    # The failures count for this network only.
    limit.count("ada@example.com", "192.0.2.2")


def test_known_network_is_forgotten_after_90_days(limit: SignInLimit, clock: Clock) -> None:
    limit.succeeded(limit.count("ada@example.com", "192.0.2.1"))
    clock.now += rate_limit.KNOWN_NETWORK_SECONDS - 1
    assert limit.count("ada@example.com", "192.0.2.1").is_known
    clock.now += 1
    assert not limit.count("ada@example.com", "192.0.2.1").is_known


def test_withdrawn_attempt_does_not_count(limit: SignInLimit, clock: Clock) -> None:
    for _ in range(rate_limit.ACCOUNT_ATTEMPTS * 2):
        limit.withdraw(limit.count("ada@example.com", "192.0.2.1"))
    attempt = limit.count("ada@example.com", "192.0.2.1")
    for counter in attempt.counters:
        limit.dynamodb.delete_item(TableName=limit.table, Key={"subject": {"S": counter}})
    limit.withdraw(attempt)
    assert items(limit) == "[]"


def test_address_over_its_limit_does_not_count_for_accounts(limit: SignInLimit) -> None:
    for number in range(rate_limit.ADDRESS_ATTEMPTS):
        limit.count(f"user{number}@example.com", "192.0.2.1")
    for _ in range(rate_limit.ACCOUNT_ATTEMPTS + 1):
        with pytest.raises(LimitExceededError):
            limit.count("ada@example.com", "192.0.2.1")
    limit.count("ada@example.com", "192.0.2.2")


def test_ipv6_network_counts_as_one_address(limit: SignInLimit) -> None:
    for number in range(rate_limit.ADDRESS_ATTEMPTS):
        limit.count(f"user{number}@example.com", f"2001:db8:0:1::{number:x}")
    with pytest.raises(LimitExceededError):
        limit.count("ada@example.com", "2001:db8:0:1:ffff::1")
    limit.count("ada@example.com", "2001:db8:0:2::1")


def test_concurrent_attempts_are_all_counted(limit: SignInLimit) -> None:
    refused: list[LimitExceededError] = []

    def attempt() -> None:
        try:
            limit.count("ada@example.com", "192.0.2.1")
        except LimitExceededError as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(20))
    assert len(refused) == 25 - rate_limit.ACCOUNT_ATTEMPTS


def test_counters_hold_hashes_and_expire(limit: SignInLimit, clock: Clock) -> None:
    limit.succeeded(limit.count("ada@example.com", "192.0.2.1"))
    found = limit.dynamodb.scan(TableName=limit.table)["Items"]
    assert len(found) == 3
    for item in found:
        assert (
            clock.now < int(item["expires_at"]["N"]) <= clock.now + rate_limit.KNOWN_NETWORK_SECONDS
        )
    assert "@" not in items(limit)
    assert "192.0.2.1" not in items(limit)
