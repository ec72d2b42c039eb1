"""Users on a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg2.errors
import pytest

from services.accounts.model import EmailTakenError, Role, User
from services.accounts.users import Position, Users
from tests.support.postgres import FreshDatabase
from tests.support.waiting import scaled


def pages(users: Users, limit: int) -> Iterator[list[User]]:
    position = None
    while True:
        found = users.newest(limit + 1, position)
        page = found[:limit]
        yield page
        if len(found) <= limit:
            return
        position = Position(page[-1].created_at, page[-1].id)


def test_find_ignores_the_case_of_the_address(users: Users) -> None:
    made = users.create("Ada@Example.com", "Ada", "hash")
    assert made.role is Role.CUSTOMER
    assert made.email == "Ada@Example.com"
    for email in ("Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"):
        assert users.find(email) == made
        with pytest.raises(EmailTakenError):
            users.create(email, "Another", "hash")
    assert users.find("bob@example.com") is None
    found = users.find_with_password("ada@example.com")
    assert found
    assert (found.id, found.password_hash) == (made.id, "hash")
    assert "hash" not in repr(made) + repr(found)


def test_create_with_taken_address_logs_no_personal_data(
    users: Users, fresh: FreshDatabase
) -> None:
    log = fresh.postgres.log_file
    before = log.stat().st_size
    users.create("grace@example.com", "Grace Hopper", "$argon2id$first")
    for _ in range(2):
        with pytest.raises(EmailTakenError):
            users.create("Grace@example.com", "Grace Hopper", "$argon2id$second")
    written = log.read_bytes()[before:].decode().lower()
    for personal in ("grace", "argon2id", "insert into users"):
        assert personal not in written


def test_failed_statement_is_logged_without_its_values(users: Users, fresh: FreshDatabase) -> None:
    log = fresh.postgres.log_file
    before = log.stat().st_size
    with pytest.raises(psycopg2.errors.CheckViolation):
        users.create("g@", "Grace Hopper", "$argon2id$first")
    written = log.read_bytes()[before:].decode()
    assert "violates check constraint" in written
    for personal in ("Grace", "argon2id", "INSERT INTO users"):
        assert personal not in written


def test_concurrent_creations_with_one_address_create_one_user(fresh: FreshDatabase) -> None:
    made: list[User] = []
    taken: list[EmailTakenError] = []
    start = threading.Barrier(20)

    def create(number: int) -> None:
        users = Users(fresh.database())
        email = "".join(
            c.upper() if number >> i & 1 else c for i, c in enumerate("ada@example.com")
        )
        start.wait(scaled(20))
        try:
            made.append(users.create(email, f"Ada {number}", "hash"))
        except EmailTakenError as error:
            taken.append(error)
        users.database.close()

    threads = [threading.Thread(target=create, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(30))
    assert (len(made), len(taken)) == (1, 19)
    users = Users(fresh.database())
    assert [*pages(users, 5)] == [made]
    users.database.close()


@pytest.mark.parametrize(("count", "limit"), [(0, 5), (1, 1), (10, 5), (11, 5), (7, 100)])
def test_pages_contain_every_user_once(users: Users, count: int, limit: int) -> None:
    made = [users.create(f"user{i}@example.com", f"User {i}", "hash") for i in range(count)]
    found = list(pages(users, limit))
    assert [user for page in found for user in page] == list(reversed(made))
    assert all(len(page) == limit for page in found[:-1])
    assert len(found) == max(1, -(-count // limit))


def test_pages_with_equal_creation_times_contain_every_user_once(users: Users) -> None:
    with users.database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO users SELECT gen_random_uuid(), 'u' || i || '@example.com', 'User', "
            "'customer', 'hash', '2026-01-01' FROM generate_series(1, 250) i"
        )
    found = [user.id for page in pages(users, 100) for user in page]
    assert len(found) == len(set(found)) == 250


def test_users_created_between_pages_do_not_shift_them(users: Users) -> None:
    made = [users.create(f"user{i}@example.com", "User", "hash") for i in range(6)]
    seen = []
    for number, page in enumerate(pages(users, 2)):
        seen += page
        users.create(f"late{number}@example.com", "Late", "hash")
    assert seen == list(reversed(made))


def test_set_role_ignores_the_case_of_the_address(users: Users) -> None:
    made = users.create("ada@example.com", "Ada", "hash")
    changed = users.set_role("ADA@example.com", Role.ADMINISTRATOR)
    assert changed
    assert (changed.id, changed.role) == (made.id, Role.ADMINISTRATOR)
    assert users.set_role("unknown@example.com", Role.CUSTOMER) is None


def test_replace_hash_after_password_change_does_nothing(users: Users) -> None:
    users.create("ada@example.com", "Ada", "old")
    before = users.find_with_password("ada@example.com")
    assert before
    users.replace_hash(before, "new")
    users.replace_hash(before, "late")
    found = users.find_with_password("ada@example.com")
    assert found
    assert found.password_hash == "new"
