"""Exports of a customer's data: everything that is stored, for its owner, for an hour."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from services.accounts.api import account
from services.accounts.devices import KnownDevices
from services.accounts.second_factors import RECOVERY_CODES
from services.accounts.users import Users
from services.catalog.model import StoredRendition
from services.events.accounts import AccountEventType
from services.exports.api import LINK_SECONDS
from services.exports.export_account import FORMAT
from services.orders.model import OrderStatus
from services.orders.store import Orders
from services.platform.aws.items import to_item
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import PASSWORD, create_account, sign_in
from tests.integration.accounts.test_deletion import fill, order_of
from tests.integration.accounts.test_second_factor import enable
from tests.support.waiting import HTTP_SECONDS, scaled

EMAIL, OTHER = "grace@example.com", "bob@example.com"
POST, GET = "POST /users/me/export", "GET /users/me/export"
UPLOAD, IMAGE = "a" * 32, "b" * 32
LINK = {"url"}


def call(api: Api, route: str, token: str) -> Answered:
    return api.call("manage-export", token=token, route=route)


def export_id(api: Api, user_id: str) -> str:
    with api.fresh.database().transaction() as cursor:
        cursor.execute("SELECT id FROM data_exports WHERE user_id = %s", [user_id])
        row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def deliver(api: Api, id_: str, email: str) -> None:
    """Delivers the request's event to export-account, as its queue does."""
    event = {
        "specversion": "1.0",
        "id": id_,
        "source": "darkroom/accounts",
        "type": AccountEventType.EXPORT_REQUESTED.value,
        "subject": id_,
        "time": "2026-11-27T12:00:00.000Z",
        "data": {"email": email},
    }
    record = {
        "messageId": uuid.uuid4().hex,
        "receiptHandle": "handle",
        "body": json.dumps(event),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    answer = api.invoke("export-account", {"Records": [record]})
    assert answer == {"batchItemFailures": []}


def forget_photo(api: Api, user_id: str) -> None:
    """Deletes the item of `fill` that is no whole record."""
    api.session.client("dynamodb").delete_item(
        TableName=api.lab.table("images"), Key=to_item({"owner": user_id, "item": "image#1"})
    )


def photo(api: Api, user_id: str) -> None:
    """A catalogue item with every attribute that a developed photo can have."""
    key = f"{user_id}/{UPLOAD}/a b.jpg"
    rendition = StoredRendition("small", "jpeg", 300, 200, 1234, f"{user_id}/{IMAGE}/small.jpg")
    for bucket, stored in (("originals", key), ("renditions", rendition.key)):
        api.session.client("s3").put_object(
            Bucket=api.lab.bucket(bucket), Key=stored, Body=bucket.encode()
        )
    item = {
        "owner": user_id,
        "item": f"image#{IMAGE}",
        "image_id": IMAGE,
        "status": "developed",
        "source_keys": {key},
        "listed_at": "2026-03-01T12:00:00.000Z",
        "recipe": "standard@1",
        "recipe_name": "standard",
        "placeholder": "data:image/png;base64,AA==",
        "fingerprint": "00ff",
        "dominant_colour": "#112233",
        "facts": {"width": 3000, "height": 2000, "taken_at": "2026-02-01T10:00:00", "iso": 200},
        "location_keys": {key},
        "renditions": [
            {
                "name": rendition.name,
                "format": rendition.format,
                "width": rendition.width,
                "height": rendition.height,
                "bytes": rendition.bytes,
                "key": rendition.key,
                "animated": rendition.animated,
            }
        ],
    }
    api.session.client("dynamodb").put_item(TableName=api.lab.table("images"), Item=to_item(item))


def without_links(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: without_links(v) for k, v in value.items() if k not in LINK}
    return [*map(without_links, value)] if isinstance(value, list) else value


def test_export_has_every_field_of_the_user_and_nothing_of_others(api: Api) -> None:
    person, other = fill(api, EMAIL), fill(api, OTHER)
    forget_photo(api, person.id)
    photo(api, person.id)
    order_id = order_of(api, person)
    database = api.fresh.database()
    Orders(database).advance(order_id, OrderStatus.REJECTED, "too small", {"warnings": ["dark"]})
    order = Orders(database).get(order_id)
    user = Users(database).find_with_password(EMAIL)
    database.close()
    assert order is not None
    assert user is not None
    api.call("change-email-settings", {"photo_emails": False}, token=person.token)

    enable(api, person.token)
    KnownDevices(api.sessions).add(user)

    asked = call(api, POST, person.token)
    assert asked.status == 202
    assert asked.document["status"] == "preparing"
    deliver(api, export_id(api, person.id), EMAIL)
    ready = call(api, GET, person.token).document
    assert ready["status"] == "ready"
    downloaded = httpx.get(ready["url"], timeout=scaled(HTTP_SECONDS))
    assert downloaded.headers["content-type"] == "application/json"
    assert len(downloaded.content) == ready["bytes"]
    document = downloaded.json()

    assert set(document) == {
        "format", "made_at", "account", "second_factor", "email_settings", "sessions", "devices",
        "api_keys", "webhooks", "orders", "photos",
    }  # fmt: skip
    assert document["format"] == FORMAT
    assert document["account"] == msgspec.to_builtins(account(user))
    assert document["second_factor"]["enabled_at"] is not None
    assert document["second_factor"]["recovery_codes_left"] == RECOVERY_CODES
    assert document["email_settings"] == {"photo_emails": False, "stopped_by": None}
    listed = api.call("list-sessions", token=person.token).document["sessions"]
    assert {s["id"] for s in document["sessions"]} <= {s["id"] for s in listed}
    assert len(document["sessions"]) == 1
    assert set(document["sessions"][0]) == {"id", "created_at", "used_at", "expires_at"}
    (device,) = document["devices"]
    assert set(device) == {"created_at", "expires_at"}
    assert (
        document["api_keys"] == api.call("list-api-keys", token=person.token).document["api_keys"]
    )
    assert (
        document["webhooks"] == api.call("list-webhooks", token=person.token).document["webhooks"]
    )
    assert [webhook["url"] for webhook in document["webhooks"]] == ["https://example.com/"]
    assert "whsec_" not in downloaded.text
    (exported,) = document["orders"]
    assert exported == {
        "id": order_id,
        "status": "rejected",
        "currency": "EUR",
        "total_minor": 29,
        "created_at": exported["created_at"],
        "updated_at": exported["updated_at"],
        "lines": [
            {
                "number": 1,
                "product_id": "print-10x15-glossy",
                "product_name": "Print 10 x 15 cm",
                "paper": "glossy",
                "width_mm": 102.0,
                "height_mm": 152.0,
                "unit_price_minor": 29,
                "image_id": "0" * 32,
                "quantity": 1,
                "focus": None,
                "orientation": "follows-photo",
            }
        ],
        "refunded": False,
        "delivery": {
            "name": "Grace Hopper",
            "line1": "Hafenstr. 1",
            "postcode": "20457",
            "city": "Hamburg",
            "country": "DE",
            "line2": None,
        },
        "history": [
            {"status": "created", "at": exported["history"][0]["at"]},
            {
                "status": "rejected",
                "at": exported["history"][1]["at"],
                "message": "too small",
                "warnings": ["dark"],
            },
        ],
        "recipient": EMAIL,
        "payment_method": "sandbox-ok",
        "refund_id": None,
    }
    (shown,) = document["photos"]
    assert without_links(shown) == {
        "id": IMAGE,
        "status": "developed",
        "uploaded_at": "2026-03-01T12:00:00.000Z",
        "filenames": ["a b.jpg"],
        "width": 3000,
        "height": 2000,
        "taken_at": "2026-02-01T10:00:00",
        "placeholder": "data:image/png;base64,AA==",
        "dominant_colour": "#112233",
        "fingerprint": "00ff",
        "facts": {"taken_at": "2026-02-01T10:00:00", "iso": 200},
        "renditions": [
            {
                "name": "small",
                "format": "jpeg",
                "width": 300,
                "height": 200,
                "bytes": 1234,
                "animated": False,
            }
        ],
        "links_expire_at": shown["links_expire_at"],
        "recipe": "standard",
        "recipe_version": "standard@1",
        "originals": [{"filename": "a b.jpg", "upload": UPLOAD, "location_kept": True}],
    }
    for link, content in (
        (shown["originals"][0]["url"], b"originals"),
        (shown["renditions"][0]["url"], b"renditions"),
    ):
        assert httpx.get(link, timeout=scaled(HTTP_SECONDS)).content == content
    text = downloaded.text
    assert other.id not in text
    assert OTHER not in text
    for secret in (user.password_hash, person.token, person.key):
        assert secret not in text


def test_export_is_its_owners_alone(api: Api) -> None:
    person, other = fill(api, EMAIL), fill(api, OTHER)
    forget_photo(api, person.id)
    call(api, POST, person.token)
    deliver(api, export_id(api, person.id), EMAIL)
    assert call(api, GET, other.token).status == 404
    for route in (POST, GET):
        assert call(api, route, person.key).status == 403
    link = call(api, GET, person.token).document["url"]
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(LINK_SECONDS)]


def test_export_expires_and_is_replaced(api: Api) -> None:
    person = create_account(api, EMAIL)
    token = sign_in(api, EMAIL).document["token"]
    assert call(api, GET, token).status == 404
    call(api, POST, token)
    first = export_id(api, person["id"])
    deliver(api, first, EMAIL)
    assert call(api, POST, token).document["status"] == "ready"
    assert export_id(api, person["id"]) == first
    with api.fresh.database().transaction() as cursor:
        cursor.execute("UPDATE data_exports SET made_at = made_at - interval '1 hour'")
    assert call(api, GET, token).status == 404
    assert call(api, POST, token).document["status"] == "preparing"
    assert export_id(api, person["id"]) != first
    # The lost message of an export that was replaced.
    deliver(api, first, EMAIL)
    assert call(api, GET, token).document["status"] == "preparing"


def test_requests_for_exports_are_limited(api: Api) -> None:
    create_account(api, EMAIL)
    token = sign_in(api, EMAIL).document["token"]
    answers = [call(api, POST, token) for _ in range(11)]
    assert [answer.status for answer in answers] == [202] * 10 + [429]
    assert int(answers[-1].headers["Retry-After".lower()]) > 0


def test_closed_account_is_not_exported(api: Api) -> None:
    person = fill(api, EMAIL)
    call(api, POST, person.token)
    id_ = export_id(api, person.id)
    api.call("delete-user", {"password": PASSWORD}, token=person.token)
    deliver(api, id_, EMAIL)
    listed = api.session.client("s3").list_objects_v2(
        Bucket=api.lab.bucket("exports"), Prefix=f"{person.id}/{id_}"
    )
    assert "Contents" not in listed
