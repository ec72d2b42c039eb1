"""list-sessions, revoke-session and close-other-sessions behind their handlers."""

from __future__ import annotations

import json

import pytest

from services.accounts.sessions import Session
from services.platform import cursor
from tests.integration.accounts.conftest import Api
from tests.integration.accounts.support import create_account, revoke, sign_in, slug

ORIGIN = "http://localhost:3000"


def signed_in(api: Api, email: str = "ada@example.com") -> tuple[str, Session]:
    """A new session's token, and the session."""
    token: str = sign_in(api, email).document["token"]
    session = api.sessions.find(token)
    assert isinstance(session, Session)
    return token, session


def test_list_sessions_returns_own_sessions_newest_first(api: Api) -> None:
    create_account(api)
    create_account(api, "bob@example.com")
    opened = [signed_in(api) for _ in range(3)]
    signed_in(api, "bob@example.com")
    answer = api.call("list-sessions", token=opened[1][0])
    assert answer.status == 200
    listed = answer.document["sessions"]
    assert [s["id"] for s in listed] == [s.public_id for _, s in reversed(opened)]
    assert [s["current"] for s in listed] == [False, True, False]
    assert answer.document["next_cursor"] is None
    for token, session in opened:
        assert token not in json.dumps(answer.document)
        assert session.id not in json.dumps(answer.document)


def test_list_sessions_by_pages_returns_each_session_once(api: Api) -> None:
    create_account(api)
    opened = [signed_in(api) for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = api.call("list-sessions", token=opened[0][0], query=query).document
        seen += [session["id"] for session in page["sessions"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [session.public_id for _, session in reversed(opened)]


def test_list_sessions_leaves_out_expired_sessions(api: Api) -> None:
    create_account(api)
    (token, session), (_, other) = signed_in(api), signed_in(api)
    # DynamoDB deletes late: the item is still there.
    api.session.client("dynamodb").update_item(
        TableName=api.lab.table("sessions"),
        Key={"token_hash": {"S": other.id}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    listed = api.call("list-sessions", token=token).document["sessions"]
    assert [s["id"] for s in listed] == [session.public_id]
    assert revoke(api, token, other.public_id).status == 404


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"cursor": "x"}, {"cursor": cursor.encode(["a", "b"])}],
)
def test_list_sessions_with_invalid_parameter_returns_400(api: Api, query: dict[str, str]) -> None:
    create_account(api)
    assert api.call("list-sessions", token=signed_in(api)[0], query=query).status == 400


def test_revoke_session_closes_only_this_session(api: Api) -> None:
    create_account(api)
    opened = [signed_in(api) for _ in range(3)]
    tokens = [token for token, _ in opened]
    answer = revoke(api, tokens[0], opened[1][1].public_id)
    assert (answer.status, answer.document) == (204, None)
    assert [api.call("get-session", token=token).status for token in tokens] == [200, 401, 200]
    again = revoke(api, tokens[0], opened[1][1].public_id)
    assert (again.status, slug(again)) == (404, "session-not-found")
    assert revoke(api, tokens[0], opened[0][1].public_id).status == 204
    assert api.call("get-session", token=tokens[0]).status == 401


def test_revoke_session_of_another_user_returns_404(api: Api) -> None:
    create_account(api)
    create_account(api, "bob@example.com")
    (token, session), (other, _) = signed_in(api), signed_in(api, "bob@example.com")
    for wrong in (session.public_id, session.id, token, "0" * 32):
        answer = revoke(api, other, wrong)
        assert (answer.status, slug(answer)) == (404, "session-not-found")
    assert api.call("get-session", token=token).status == 200


def test_close_other_sessions_leaves_the_current_one(api: Api) -> None:
    create_account(api)
    create_account(api, "bob@example.com")
    tokens = [signed_in(api)[0] for _ in range(30)]
    other, _ = signed_in(api, "bob@example.com")
    answer = api.call("close-other-sessions", token=tokens[7])
    assert (answer.status, answer.document) == (204, None)
    statuses = [api.call("get-session", token=token).status for token in tokens]
    assert statuses == [200 if n == 7 else 401 for n in range(30)]
    assert api.call("get-session", token=other).status == 200
    assert api.call("close-other-sessions", token=tokens[7]).status == 204


@pytest.mark.parametrize(
    "function", ["list-sessions", "close-other-sessions", "get-session", "close-session"]
)
def test_refused_request_of_allowed_page_carries_cors_headers(api: Api, function: str) -> None:
    answer = api.call(function, headers={"origin": ORIGIN})
    assert (answer.status, slug(answer)) == (401, "not-signed-in")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
