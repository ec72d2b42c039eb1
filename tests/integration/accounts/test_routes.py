"""The account routes: the functions' handlers with API Gateway events."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.accounts import passwords
from services.accounts import rate_limit as limits
from services.accounts.sessions import is_device
from services.accounts.users import Users
from services.local.emulator import free_port
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.aws.clients import client
from services.platform.errors import TransientError
from tests.integration.accounts.conftest import Api, Context
from tests.integration.accounts.support import (
    NEW_PASSWORD,
    PASSWORD,
    administrator_token,
    change_password,
    create_account,
    notice_queue,
    receive_notices,
    sign_in,
    slug,
)

# -- sessions


def test_session_opened_read_and_closed(api: Api) -> None:
    user = create_account(api)
    opened = sign_in(api, "ADA@example.com")
    assert opened.status == 201
    assert opened.headers["cache-control"] == "no-store"
    assert opened.document["user"] == user
    token = opened.document["token"]
    shown = api.call("get-session", token=token)
    assert shown.status == 200
    assert shown.document == {
        "expires_at": opened.document["expires_at"],
        "user": {"id": user["id"], "email": user["email"], "role": "customer"},
    }
    closed = api.call("close-session", token=token)
    assert (closed.status, closed.document) == (204, None)
    for function in ("get-session", "close-session"):
        refused = api.call(function, token=token)
        assert (refused.status, slug(refused)) == (401, "not-signed-in")


def test_close_session_with_all_closes_every_session_of_the_user(api: Api) -> None:
    create_account(api)
    create_account(api, "bob@example.com")
    tokens = [sign_in(api).document["token"] for _ in range(3)]
    other = sign_in(api, "bob@example.com").document["token"]
    assert api.call("close-session", token=tokens[0]).status == 204
    assert api.call("get-session", token=tokens[1]).status == 200
    assert api.call("close-session", token=tokens[1], query={"all": "true"}).status == 204
    assert api.call("get-session", token=tokens[2]).status == 401
    assert api.call("get-session", token=other).status == 200
    assert api.call("close-session", token=other, query={"all": "perhaps"}).status == 400


def test_expired_and_unknown_sessions_get_different_problems(api: Api) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    dynamodb, table = api.session.client("dynamodb"), api.lab.table("sessions")
    (item,) = (i for i in dynamodb.scan(TableName=table)["Items"] if not is_device(i))
    dynamodb.put_item(TableName=table, Item=item | {"expires_at": {"N": str(int(time.time()))}})
    answer = api.call("get-session", token=token)
    assert (answer.status, slug(answer)) == (401, "session-expired")
    answer = api.call("get-session", token=token[:-1] + ("A" if token[-1] != "A" else "B"))
    assert (answer.status, slug(answer)) == (401, "not-signed-in")


def test_wrong_password_and_unknown_address_get_the_same_response(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    verified: list[str] = []
    matches = passwords.matches

    def count(password: str, password_hash: str) -> bool:
        verified.append(password_hash)
        return matches(password, password_hash)

    monkeypatch.setattr(passwords, "matches", count)
    answers = [
        sign_in(api, email, "wrong password") for email in ("ada@example.com", "eve@example.com")
    ]
    assert [a.status for a in answers] == [401, 401]
    assert slug(answers[0]) == "wrong-credentials"
    assert answers[0].document == answers[1].document
    assert answers[0].headers == answers[1].headers
    # The same work for both: one verification each, with the same parameters.
    assert len(verified) == 2
    assert verified[0].split("$")[:4] == verified[1].split("$")[:4]


@pytest.mark.parametrize("email", ["ada@example.com", "eve@example.com"])
def test_open_session_over_account_limit_returns_429(
    api: Api, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    monkeypatch.setattr(limits, "ACCOUNT_ATTEMPTS", 3)
    for number in range(3):
        assert sign_in(api, email, "wrong password", address=f"192.0.2.{number}").status == 401
    # The correct password gets the same response, and is not verified.
    monkeypatch.setattr(passwords, "matches", lambda *_: pytest.fail("verified the password"))
    answer = sign_in(api, email, address="192.0.2.99")
    assert (answer.status, slug(answer)) == (429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= limits.WINDOW_SECONDS


def test_sign_in_on_known_network_resets_its_failures(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    monkeypatch.setattr(limits, "ACCOUNT_ATTEMPTS", 2)
    for _ in range(3):
        assert sign_in(api, password="wrong password").status == 401
        assert sign_in(api).status == 201


def test_open_session_on_known_network_works_while_account_is_attacked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    assert sign_in(api).status == 201
    monkeypatch.setattr(limits, "ACCOUNT_ATTEMPTS", 3)
    for number in range(3):
        attacker = f"198.51.100.{number}"
        assert sign_in(api, password="wrong password", address=attacker).status == 401
    assert sign_in(api, address="198.51.100.9").status == 429
    assert sign_in(api).status == 201


def test_sign_in_from_new_network_is_announced_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    queue = notice_queue(api)

    def notices() -> list[str]:
        return [notice["type"] for notice in receive_notices(api, queue)]

    assert notices() == []
    assert sign_in(api, address="192.0.2.1").status == 201
    assert notices() == []  # the first sign-in to a new account
    with api.fresh.database().transaction() as cursor:
        cursor.execute("UPDATE users SET created_at = now() - interval '1 day'")
    assert sign_in(api, address="192.0.2.1").status == 201
    assert sign_in(api, password="wrong password", address="198.51.100.1").status == 401
    assert notices() == []
    for _ in range(2):
        assert sign_in(api, address="198.51.100.1").status == 201
    assert notices() == ["account.signed_in_from_new_network"]
    monkeypatch.setattr(limits, "NOTICES_PER_DAY", 2)
    for number in range(2, 5):
        assert sign_in(api, address=f"198.51.100.{number}").status == 201
    assert notices() == ["account.signed_in_from_new_network"]


def test_open_session_during_outage_uses_up_no_attempts(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    assert sign_in(api, password="wrong password").status == 401
    monkeypatch.setattr(limits, "ACCOUNT_ATTEMPTS", 2)
    with monkeypatch.context() as patched:

        def away(*_: Any) -> None:
            raise TransientError("Postgres is unavailable")

        patched.setattr(Users, "find_with_password", away)
        for _ in range(5):
            assert sign_in(api).status == 503
    assert sign_in(api).status == 201


def test_sign_in_after_parameter_change_rehashes_the_password(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    users = Users(api.fresh.database())
    before = users.find_with_password("ada@example.com")
    stronger = PasswordHasher(time_cost=3, memory_cost=16 * 1024, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", stronger)
    assert sign_in(api).status == 201
    after = users.find_with_password("ada@example.com")
    assert before
    assert after
    assert "m=16384,t=3,p=1" in after.password_hash
    assert after.password_hash != before.password_hash
    assert sign_in(api).status == 201
    assert users.find_with_password("ada@example.com") == after
    users.database.close()


# -- change-password


def test_open_session_without_postgres_returns_503(api: Api) -> None:
    create_account(api)
    assert sign_in(api).status == 201
    database = api.loaded["open-session"].database
    configuration = database.configuration
    away = configuration.url.replace(str(api.fresh.postgres.port), str(free_port()))
    database.configuration = dataclasses.replace(configuration, url=away)
    database.close()
    answer = sign_in(api)
    assert (answer.status, slug(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in json.dumps(answer.document)
    database.configuration = configuration
    assert sign_in(api).status == 201


def test_requests_without_dynamodb_return_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    api.loaded.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    client.cache_clear()
    assert api.authorize(token) == {"session": "unavailable"}
    for answer in (api.call("get-session", token=token), sign_in(api)):
        assert (answer.status, slug(answer)) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0


# -- all routes


def test_logs_contain_no_secret(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    create_account(api)
    token = sign_in(api).document["token"]
    sign_in(api, password="wrong password")
    api.call("get-session", token=token)
    change_password(api, token)
    change_password(api, token, current="wrong password", new="another new password")
    api.call("close-session", token=token)
    logged = capsys.readouterr().out
    assert "session_opened" in logged
    assert "session_looked_up" in logged
    # Who watches the log sees refused sign-ins too.
    assert '"problem": "wrong-credentials"' in logged
    assert '"problem": "wrong-password"' in logged
    for secret in (
        token,
        PASSWORD,
        NEW_PASSWORD,
        "wrong password",
        "another new password",
        api.fresh.postgres.password,
        "ada@",
    ):
        assert secret not in logged


def test_responses_carry_cors_headers_of_their_route(api: Api) -> None:
    answer = api.call(
        "create-user",
        {"email": "ada@example.com"},
        headers={"origin": "http://localhost:3000"},
    )
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["access-control-expose-headers"] == "retry-after"
    answer = api.call(
        "list-users", token=administrator_token(api), headers={"origin": "http://localhost:3000"}
    )
    assert "access-control-allow-origin" not in answer.headers


FUNCTIONS = (
    "authorize-request",
    "change-password",
    "close-other-sessions",
    "close-session",
    "confirm-user",
    "create-user",
    "get-session",
    "list-sessions",
    "list-users",
    "migrate-database",
    "open-session",
    "request-password-reset",
    "reset-password",
    "revoke-session",
    "run-operation",
    "send-account-email",
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_answers_warmer(api: Api, function: str) -> None:
    assert api.handler(function)({"warmer": True}, Context(function)) == {"warm": True}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_manifest_authorization_matches_operation_access(api: Api, function: str) -> None:
    declared = manifest.load(PROJECT / "images" / function).http
    handler = api.handler(function)
    functions = [*getattr(handler, "functions", {"": handler}).values()]
    operations = [f.operation for f in functions if hasattr(f, "operation")]
    assert (declared is None) == (not operations)
    for operation in operations:
        assert declared
        assert (declared.authorization == "none") == (operation.access == "anyone")


def test_migrate_database_applies_every_revision_once(api: Api) -> None:
    with api.fresh.database().transaction() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    first = api.invoke("migrate-database", {})
    assert first["applied"][0] == "0001"
    assert first["revision"] == first["applied"][-1]
    assert api.invoke("migrate-database", {"to": "head"}) == first | {"applied": []}
    assert create_account(api)


def test_environment_reuses_one_connection(api: Api) -> None:
    create_account(api)
    for _ in range(5):
        sign_in(api)
    assert api.fresh.connections("open-session") == 1
