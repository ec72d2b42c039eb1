"""The routes of webhooks: set, list, test and delete."""

from __future__ import annotations

import pytest

from services.client.webhooks import verify
from services.webhooks.endpoints import ENDPOINTS_PER_OWNER
from services.webhooks.model import WebhookEventType
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import create_account, sign_in, slug
from tests.support.loopback import Reply, scripted

ALL = [event.value for event in WebhookEventType]


@pytest.fixture
def token(api: Api, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WEBHOOK_LOOPBACK", "true")
    create_account(api)
    return str(sign_in(api).document["token"])


def set_webhook(api: Api, token: str, url: str, **more: object) -> Answered:
    return api.call("set-webhook", {"url": url, **more}, token=token)


def test_webhook_is_set_tried_listed_changed_and_deleted(api: Api, token: str) -> None:
    with scripted(Reply(200), Reply(500)) as receiver:
        made = set_webhook(api, token, receiver.url, events=["image.developed"])
        assert made.status == 201
        secret, id_ = made.document["secret"], made.document["id"]
        assert made.headers["location"] == f"/webhooks/{id_}"
        path = {"id": id_}
        assert api.call("try-webhook", token=token, path=path).document["delivered"] is True
        failed = api.call("try-webhook", token=token, path=path).document
        assert (failed["delivered"], failed["status"]) == (False, 500)
        (call, _) = receiver.received
        now = int(call.headers["webhook-timestamp"])
        assert verify([secret], call.headers, call.body, now) == call.headers["webhook-id"]
        changed = set_webhook(api, token, receiver.url, events=ALL)
        assert (changed.status, changed.document["secret"]) == (200, None)
        rotated = set_webhook(api, token, receiver.url, rotate_secret=True)
        assert (rotated.status, rotated.document["id"]) == (200, id_)
        assert rotated.document["secret"] not in (None, secret)
    (listed,) = api.call("list-webhooks", token=token).document["webhooks"]
    assert (listed["id"], listed["events"], listed["disabled"]) == (id_, [], None)
    assert "secret" not in listed
    assert api.call("delete-webhook", token=token, path=path).status == 204
    assert api.call("list-webhooks", token=token).document == {"webhooks": []}
    for function in ("delete-webhook", "try-webhook"):
        gone = api.call(function, token=token, path=path)
        assert (gone.status, slug(gone)) == (404, "webhook-not-found")


@pytest.mark.parametrize(
    "url",
    ["https://169.254.169.254/latest/", "https://10.0.0.1/", "http://example.com/", "ftp://a/"],
)
def test_url_that_is_not_public_is_refused(api: Api, token: str, url: str) -> None:
    answer = set_webhook(api, token, url)
    assert (answer.status, slug(answer)) == (400, "invalid-request")
    assert answer.document["errors"][0]["field"] == "url"


def test_other_users_webhook_is_not_found(api: Api, token: str) -> None:
    create_account(api, "bob@example.com")
    other = str(sign_in(api, "bob@example.com").document["token"])
    id_ = set_webhook(api, token, "http://127.0.0.1:9/").document["id"]
    assert api.call("list-webhooks", token=other).document == {"webhooks": []}
    for function in ("delete-webhook", "try-webhook"):
        assert api.call(function, token=other, path={"id": id_}).status == 404


def test_number_of_webhooks_is_limited(api: Api, token: str) -> None:
    urls = [f"http://127.0.0.1:9/{number}" for number in range(ENDPOINTS_PER_OWNER + 1)]
    answers = [set_webhook(api, token, url) for url in urls]
    assert [one.status for one in answers] == [201] * ENDPOINTS_PER_OWNER + [409]
    assert slug(answers[-1]) == "too-many-webhooks"
    assert set_webhook(api, token, urls[0]).status == 200


def test_api_key_needs_the_scope(api: Api, token: str) -> None:
    for scope, status in (("photos:write", 403), ("webhooks:manage", 200)):
        body = {"name": "server", "scopes": [scope]}
        key = api.call("create-api-key", body, token=token).document["key"]
        assert api.call("list-webhooks", token=key).status == status
