"""change-password and list-users behind their handlers."""

from __future__ import annotations

import json
import uuid

import pytest

from services.accounts import passwords
from services.accounts import rate_limit as limits
from services.accounts.users import Users
from services.platform import cursor
from tests.integration.accounts.conftest import Api
from tests.integration.accounts.support import (
    NEW_PASSWORD,
    PASSWORD,
    administrator_token,
    change_password,
    create_account,
    sign_in,
    slug,
)


def test_change_password_replaces_it_and_closes_other_sessions(api: Api) -> None:
    create_account(api)
    create_account(api, "bob@example.com")
    tokens = [sign_in(api).document["token"] for _ in range(3)]
    other = sign_in(api, "bob@example.com").document["token"]
    answer = change_password(api, tokens[0])
    assert (answer.status, answer.document) == (204, None)
    assert sign_in(api, password=PASSWORD).status == 401
    assert sign_in(api, password=NEW_PASSWORD).status == 201
    assert [api.call("get-session", token=token).status for token in tokens] == [200, 401, 401]
    assert api.call("get-session", token=other).status == 200


def test_change_password_repeated_returns_204_again(api: Api) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    assert change_password(api, token).status == 204
    second = sign_in(api, password=NEW_PASSWORD).document["token"]
    assert change_password(api, token).status == 204
    assert api.call("get-session", token=second).status == 401


def test_change_password_with_wrong_current_password_returns_403(api: Api) -> None:
    create_account(api)
    tokens = [sign_in(api).document["token"] for _ in range(2)]
    answer = change_password(api, tokens[0], current="wrong password")
    assert (answer.status, slug(answer)) == (403, "wrong-password")
    assert sign_in(api).status == 201
    assert [api.call("get-session", token=token).status for token in tokens] == [200, 200]


@pytest.mark.parametrize("new", ["short", "ada@example.com", "x" * 129])
def test_change_password_to_weak_password_returns_400(api: Api, new: str) -> None:
    create_account(api)
    answer = change_password(api, sign_in(api).document["token"], new=new)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert [e["field"] for e in answer.document["errors"]] == ["new_password"]
    assert new not in json.dumps(answer.document["errors"])
    assert sign_in(api).status == 201


def test_change_password_over_limit_returns_429(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    monkeypatch.setattr(limits, "ACCOUNT_ATTEMPTS", 2)
    for _ in range(2):
        assert change_password(api, token, current="wrong password").status == 403
    answer = change_password(api, token)
    assert (answer.status, slug(answer)) == (429, "too-many-attempts")
    assert int(answer.headers["retry-after"]) >= 1


def test_concurrent_password_changes_leave_one_of_them(api: Api) -> None:
    """The hash is replaced only if it is still the one that was verified."""
    create_account(api)
    users = Users(api.fresh.database())
    user = users.find_with_password("ada@example.com")
    assert user
    assert users.replace_hash(user, passwords.hash_password(NEW_PASSWORD))
    assert not users.replace_hash(user, passwords.hash_password("another password"))
    users.database.close()
    assert sign_in(api, password=NEW_PASSWORD).status == 201


def test_change_password_without_session_returns_401(api: Api) -> None:
    assert change_password(api, None).status == 401


# -- list-users


def test_list_users_as_administrator_returns_every_account(api: Api) -> None:
    token = administrator_token(api)
    ids = {create_account(api, f"user{i}@example.com")["id"] for i in range(5)}
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        answer = api.call("list-users", token=token, query=query)
        assert answer.status == 200
        assert len(answer.document["users"]) <= 2
        assert "password" not in json.dumps(answer.document)
        seen += [user["id"] for user in answer.document["users"]]
        if answer.document["next_cursor"] is None:
            break
        query["cursor"] = answer.document["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert ids < set(seen)


def test_list_users_as_customer_returns_403(api: Api) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    answer = api.call("list-users", token=token)
    assert (answer.status, slug(answer)) == (403, "not-allowed")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "tampered"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"page": "2"}, "page"),
    ],
)
def test_list_users_with_invalid_parameter_returns_400(
    api: Api, query: dict[str, str], field: str
) -> None:
    answer = api.call("list-users", token=administrator_token(api), query=query)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert [e["field"] for e in answer.document["errors"]] == [field]


def test_list_users_with_changed_cursor_returns_400_or_a_page(api: Api) -> None:
    token = administrator_token(api)
    for i in range(3):
        create_account(api, f"user{i}@example.com")
    whole = api.call("list-users", token=token, query={"limit": "1"}).document["next_cursor"]

    def status(text: str) -> int:
        return api.call("list-users", token=token, query={"limit": "1", "cursor": text}).status

    assert status(whole) == 200
    wrong = [
        "ä",
        whole[:-4],
        whole + "AAAA",
        cursor.encode(["2026-01-01T00:00:00+00:00", "x"]),
        cursor.encode(["2026-01-01T00:00:00", str(uuid.uuid4())]),
        cursor.encode(["0001-01-01T00:00:00+10:00", str(uuid.uuid4())]),
        cursor.encode(["yesterday", str(uuid.uuid4())]),
        cursor.encode(["2026-01-01T00:00:00+00:00", "' OR 1=1 --"]),
        cursor.encode([str(uuid.uuid4())]),
    ]
    assert {status(text) for text in wrong} == {400}
    # A change may still decode to a valid position.
    for i in range(0, len(whole), 5):
        changed = whole[:i] + ("A" if whole[i] != "A" else "B") + whole[i + 1 :]
        assert status(changed) in (200, 400)


# -- outages
