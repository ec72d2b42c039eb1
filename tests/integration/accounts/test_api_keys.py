"""API keys: their secrets, scopes, expiry, last use and revocation."""

from __future__ import annotations

from typing import Any

import pytest

from services.accounts.api_keys import KEYS_PER_USER, LAST_USE_SECONDS, PREFIX, ApiKeyStore
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import change_password, create_account, sign_in, slug
from tests.support.clock import Clock

DAY = 24 * 3600
# Of each scope, a route and what it returns when the scope admits the caller.
ROUTES = {"photos:read": "list-images", "orders:read": "list-orders"}


@pytest.fixture
def token(api: Api) -> str:
    create_account(api)
    return str(sign_in(api).document["token"])


def create(api: Api, token: str, *scopes: str, **more: Any) -> Answered:
    body = {"name": "import server", "scopes": list(scopes or ["photos:read"]), **more}
    return api.call("create-api-key", body, token=token)


def store(api: Api, clock: Clock) -> ApiKeyStore:
    return ApiKeyStore(api.session.client("dynamodb"), api.lab.table("api-keys"), clock)


def test_key_is_created_listed_used_and_revoked(api: Api, token: str) -> None:
    created = create(api, token, "photos:read", "orders:read")
    assert created.status == 201
    key, key_id = created.document["key"], created.document["id"]
    assert key.startswith(PREFIX)
    assert created.headers["location"] == f"/api-keys/{key_id}"
    for function in ROUTES.values():
        assert api.call(function, token=key).status == 200
    (listed,) = api.call("list-api-keys", token=token).document["api_keys"]
    assert listed["last_used_at"] is not None
    assert listed["scopes"] == ["orders:read", "photos:read"]
    assert "key" not in listed
    assert api.call("revoke-api-key", token=token, path={"id": key_id}).status == 204
    assert api.call("list-images", token=key).status == 401
    assert api.call("revoke-api-key", token=token, path={"id": key_id}).status == 404


def test_secret_of_a_key_is_not_stored(api: Api, token: str) -> None:
    secret = create(api, token).document["key"].removeprefix(PREFIX)
    items = api.session.client("dynamodb").scan(TableName=api.lab.table("api-keys"))["Items"]
    assert len(items) == 1
    assert secret not in str(items)


@pytest.mark.parametrize("scope", ["photos:read", "photos:write", "orders:read", "orders:write"])
def test_key_is_refused_outside_its_scopes(api: Api, token: str, scope: str) -> None:
    key = create(api, token, scope).document["key"]
    for other, function in ROUTES.items():
        answer = api.call(function, token=key)
        assert answer.status == (200 if other == scope else 403)
        if other != scope:
            assert slug(answer) == "not-allowed"
            assert f'scope="{other}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "function",
    ["get-session", "close-session", "create-api-key", "list-api-keys", "list-users"],
)
def test_key_is_refused_for_account_sessions_and_keys(api: Api, token: str, function: str) -> None:
    key = create(api, token, "photos:read", "photos:write", "orders:read", "orders:write").document[
        "key"
    ]
    body = {"name": "x", "scopes": ["photos:read"]} if function == "create-api-key" else None
    assert api.call(function, body, token=key).status == 403
    assert change_password(api, key).status == 403


def test_key_of_another_user_is_not_revoked_or_listed(api: Api, token: str) -> None:
    key = create(api, token).document
    create_account(api, "eve@example.com")
    eve = sign_in(api, "eve@example.com").document["token"]
    assert api.call("revoke-api-key", token=eve, path={"id": key["id"]}).status == 404
    assert api.call("list-api-keys", token=eve).document == {"api_keys": []}
    assert api.call("list-images", token=key["key"]).status == 200


def test_key_stays_valid_when_the_password_changes(api: Api, token: str) -> None:
    key = create(api, token).document["key"]
    assert change_password(api, token).status == 204
    assert api.call("list-images", token=key).status == 200


def test_key_expires(api: Api, clock: Clock) -> None:
    keys = store(api, clock)
    secret, key = keys.create("ada", "ada@example.com", "Ada", "server", ["photos:read"], 2)
    clock.now += 2 * DAY - 1
    assert keys.find(secret) is not None
    clock.now += 1
    assert keys.find(secret) is None
    assert keys.of_user("ada") == []
    assert key.expires_at == clock.now


def test_last_use_is_written_at_most_once_in_five_minutes(api: Api, clock: Clock) -> None:
    keys = store(api, clock)
    secret, _ = keys.create("ada", "ada@example.com", "Ada", "server", ["photos:read"], None)
    first = clock.now
    keys.find(secret)
    clock.now += LAST_USE_SECONDS - 1
    keys.find(secret)
    assert [key.last_used_at for key in keys.of_user("ada")] == [first]
    clock.now += 1
    keys.find(secret)
    assert [key.last_used_at for key in keys.of_user("ada")] == [clock.now]


@pytest.mark.parametrize(
    "secret", ["", PREFIX, f"{PREFIX}x", f"{PREFIX}{'a' * 43}", f"{PREFIX}{'a' * 43}\n", "a" * 43]
)
def test_unknown_key_is_refused(api: Api, clock: Clock, secret: str) -> None:
    assert store(api, clock).find(secret) is None


def test_number_of_keys_of_a_user_is_limited(api: Api, token: str) -> None:
    for _ in range(KEYS_PER_USER):
        assert create(api, token).status == 201
    answer = create(api, token)
    assert (answer.status, slug(answer)) == (409, "too-many-api-keys")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": " "}, "name"),
        ({"expires_in_days": 0}, "expires_in_days"),
        ({"role": "administrator"}, "role"),
    ],
)
def test_invalid_key_is_refused(api: Api, token: str, changes: dict[str, Any], field: str) -> None:
    answer = api.call(
        "create-api-key", {"name": "server", "scopes": ["photos:read"], **changes}, token=token
    )
    assert answer.status == 400
    assert answer.document["errors"][0]["field"].startswith(field)
