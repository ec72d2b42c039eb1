"""Attacks on the objects of a lab: those of others, forged positions, forms, prices and e-mails."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.local.state import LabState
from services.platform.errors import PermanentError
from tests.integration.api.test_customer import wait_for_mails
from tests.security.conftest import Attacker, Customer
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

ENCODED_HEADERS = (
    "=?utf-8?q?x=0D=0AReply-To:_a@b.example=0D=0AContent-Type:_text=2Fhtml=0D=0A=0D=0A<h1>you_won?="
)
DELIVERY = {
    "name": "Anna Muster",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}


@pytest.fixture(scope="module")
def victim(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer()


@pytest.fixture(scope="module")
def thief(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer()


@pytest.fixture(scope="module")
def photos_of_victim(
    victim: Customer, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("photos")
    found: list[dict[str, Any]] = []
    for name in ("one.jpg", "two.jpg"):
        path = folder / name
        path.write_bytes(jpeg(scene(700 + 100 * len(found), 500)))
        found.append(victim.api.developed(victim.api.upload(path)))
    return found


def test_file_name_adds_no_header_and_no_body_to_an_email(
    lab: LabState, new_customer: Callable[..., Customer], tmp_path: Path
) -> None:
    customer = new_customer()
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg())
    form = customer.api._call(
        "POST",
        "/uploads",
        json={"filename": f"{ENCODED_HEADERS}.jpg", "content_type": "image/jpeg"},
    )
    customer.api.post_form(form, path)
    (mail,) = wait_for_mails(lab, customer.email)
    parsed = email.message_from_bytes(mail.path.read_bytes(), policy=email.policy.default)
    assert parsed["Reply-To"] is None
    assert parsed.get_content_type() == "multipart/related" or parsed.is_multipart()
    assert "<h1>you" not in mail.html
    assert "\n" not in str(parsed["Subject"])


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?victim=40bank.example=2C?=@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com,b@example.com",
        '"a b"@example.com',
        "a@[127.0.0.1]",
    ],
)
def test_address_that_is_more_than_one_is_refused(attacker: Attacker, address: str) -> None:
    body = {"email": address}
    answer = attacker.send("POST", "/users", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "email"


@pytest.mark.parametrize("route", ["/images", "/orders", "/sessions", "/users"])
def test_forged_cursor_is_refused_or_shows_only_own_objects(
    attacker: Attacker, victim: Customer, thief: Customer, route: str
) -> None:
    for parts in ([], ["x"], ["a", "b"], [victim.user_id, victim.user_id], [{"a": 1}], None):
        cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
        answer = attacker.send(
            "GET", route, thief.api.token, params={"cursor": cursor, "limit": "100"}
        )
        assert answer.status_code in (200, 400, 403), answer.text
        assert victim.user_id not in answer.text.replace(cursor, "")


def test_cursor_of_another_shows_only_own_objects(
    attacker: Attacker,
    victim: Customer,
    thief: Customer,
    photos_of_victim: list[dict[str, Any]],
) -> None:
    page = attacker.send("GET", "/images", victim.api.token, params={"limit": "1"}).json()
    answer = attacker.send(
        "GET", "/images", thief.api.token, params={"cursor": page["next_cursor"] or "x"}
    )
    ids = {image["id"] for image in photos_of_victim}
    assert answer.status_code in (200, 400)
    assert not ids & {image["id"] for image in answer.json().get("images", [])}


def test_photo_of_another_is_neither_seen_deleted_nor_ordered(
    attacker: Attacker,
    victim: Customer,
    thief: Customer,
    photos_of_victim: list[dict[str, Any]],
) -> None:
    image_id = photos_of_victim[0]["id"]
    for method in ("GET", "DELETE"):
        assert attacker.send(method, f"/images/{image_id}", thief.api.token).status_code == 404
    order = thief.api.order(
        [{"product_id": "print-10x15-glossy", "image_id": image_id, "quantity": 1}],
        "sandbox-ok",
        DELIVERY,
    )
    assert thief.api.ended(order["id"])["status"] == "rejected"
    assert victim.api.image(image_id)["id"] == image_id


def test_link_to_a_photo_is_not_changed_into_one_to_another(
    victim: Customer, photos_of_victim: list[dict[str, Any]]
) -> None:
    one, two = (victim.api.image(image["id"])["renditions"][0]["url"] for image in photos_of_victim)
    assert httpx.get(one).status_code == 200
    path_of_two = two.partition("?")[0]
    query_of_one = one.partition("?")[2]
    if path_of_two != one.partition("?")[0]:
        assert httpx.get(f"{path_of_two}?{query_of_one}").status_code == 403
    assert httpx.get(one.partition("?")[0]).status_code == 403
    assert httpx.get(one.replace("X-Amz-Expires=", "X-Amz-Expires=9")).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields | {"key": fields["key"].replace(fields["key"][:8], "deadbeef", 1)},
        lambda fields: fields | {"Content-Type": "text/html"},
        lambda fields: fields | {"x-amz-meta-notify": "victim@bank.example"},
        lambda fields: fields | {"x-amz-meta-more": "x"},
        lambda fields: {k: v for k, v in fields.items() if k.lower() != "policy"},
        lambda fields: {k: v for k, v in fields.items() if "signature" not in k.lower()},
    ],
    ids=["key", "content type", "recipient", "more metadata", "no policy", "no signature"],
)
def test_changed_upload_form_is_refused(
    thief: Customer, photo: Path, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    form = thief.api.upload_form(photo)
    with pytest.raises(PermanentError, match="expected the storage to take"):
        thief.api.post_form(form | {"fields": change(form["fields"])}, photo)


def test_replayed_upload_form_brings_no_deleted_photo_back(
    new_customer: Callable[..., Customer], photo: Path
) -> None:
    customer = new_customer()
    form = customer.api.upload_form(photo)
    customer.api.post_form(form, photo)
    image = customer.api.developed(form["id"])
    customer.api.delete_image(image["id"])
    eventually(lambda: not list(customer.api.images()), "the photo is deleted")
    customer.api.post_form(form, photo)
    # A later upload is developed; by then the replay would have been.
    other = photo.with_name("other.jpg")
    other.write_bytes(jpeg() + b"\0")
    later = customer.api.developed(customer.api.upload(other))
    assert [one["id"] for one in customer.api.images()] == [later["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"role": "administrator"}),
        ("POST", "/users", {"id": str(uuid.UUID(int=1))}),
        ("PATCH", "/users/me/email-settings", {"suppression": None}),
        ("POST", "/orders", {"total_minor": 1}),
        ("POST", "/orders", {"status": "paid"}),
        ("POST", "/orders", {"user_id": str(uuid.UUID(int=1))}),
        ("POST", "/uploads", {"owner": "someone"}),
        ("POST", "/api-keys", {"scopes": ["admin"]}),
    ],
)
def test_field_that_customers_may_not_set_is_refused(
    attacker: Attacker, thief: Customer, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = attacker.send(method, path, thief.api.token, json=body)
    assert answer.status_code == 400, answer.text
    assert any(next(iter(body)) in error["field"] for error in answer.json()["errors"])


@pytest.mark.parametrize(
    "line",
    [{"quantity": 0}, {"quantity": -1}, {"quantity": 10**9}, {"quantity": 1.5}, {"price_minor": 1}],
)
def test_order_line_with_impossible_amount_is_refused(
    attacker: Attacker, thief: Customer, line: dict[str, Any]
) -> None:
    body = {
        "lines": [{"product_id": "print-10x15-glossy", "image_id": "x", "quantity": 1} | line],
        "payment_method": "sandbox-ok",
        "delivery": DELIVERY,
    }
    assert attacker.send("POST", "/orders", thief.api.token, json=body).status_code == 400


def test_payment_notice_without_the_providers_signature_is_refused(attacker: Attacker) -> None:
    notice = {"id": "evt_1", "type": "payment.received", "payment": {"order_id": "x"}}
    for headers in ({}, {"payment-signature": "t=1,v1=00"}, {"stripe-signature": "t=1,v1=00"}):
        answer = attacker.send("POST", "/payments/notices", json=notice, headers=headers)
        assert answer.status_code in (400, 401, 403)


def test_storage_and_queues_refuse_callers_without_keys(lab: LabState) -> None:
    for target in ("DynamoDB_20120810.ListTables", "AmazonSQS.ListQueues"):
        answer = httpx.post(
            lab.endpoint,
            headers={"x-amz-target": target, "content-type": "application/x-amz-json-1.0"},
            content=b"{}",
            timeout=scaled(HTTP_SECONDS),
        )
        assert answer.status_code in (400, 403), answer.text
    bucket = next(iter(lab.buckets.values()))
    assert httpx.get(f"{lab.endpoint}/{bucket}").status_code == 403


@pytest.fixture
def log_lines(lab: LabState) -> Callable[[], list[str]]:
    folder = Path(lab.mail_folder).parent / "logs"
    return lambda: (folder / "gateway.log").read_text(errors="replace").splitlines()


def test_text_of_a_request_adds_no_line_to_the_log(
    attacker: Attacker, log_lines: Callable[[], list[str]]
) -> None:
    mark = uuid.uuid4().hex
    forged = f'{mark}%0a{{"event":"forged-{mark}"}}'
    for path in (f"/images/{forged}", f"/orders/{forged}", f"/images?cursor={forged}"):
        attacker.send("GET", path, headers={"user-agent": f"{mark}\\n{{}}"})
    for line in log_lines():
        assert json.loads(line).get("event") != f"forged-{mark}"
