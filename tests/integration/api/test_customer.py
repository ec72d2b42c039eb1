"""A customer's use of the API, from sign-up to sign-out."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from services.catalog.store import Catalog
from services.client.api import Api, ApiProblem
from services.local.mailbox import SentMail, sent_code, sent_mails
from services.local.state import LabState
from services.platform.manifest import load
from tests.integration.api.conftest import PASSWORD, Customer, forget_attempts
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually, scaled

CACHE_SECONDS = 30
MAIL_SECONDS = 20


def refused(call: Callable[[], object]) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        call()
    return caught.value


def test_customer_from_sign_up_to_sign_out(lab: LabState, photo: Path) -> None:
    forget_attempts(lab)
    api = Api(lab.api)
    email = f"New.Customer.{time.time_ns()}@Darkroom.Example"

    api.sign_up(email)
    code = sent_code(Path(lab.mail_folder), email, scaled(MAIL_SECONDS))
    assert refused(lambda: api.sign_in(email, PASSWORD)).slug == "wrong-credentials"
    user = api.confirm(email.lower(), code, "Nora", PASSWORD)
    assert (user["role"], user["email"]) == ("customer", email)
    assert refused(lambda: api.confirm(email, code, "Nora", PASSWORD)).slug == "wrong-code"
    api.sign_up(email.lower())
    wait_for_mail(lab, email, "You already have an account")
    assert refused(lambda: api.sign_in(email, "wrong horse battery staple")).status == 401
    api.sign_in(email.lower(), PASSWORD)
    assert api.session()["user"]["id"] == user["id"]

    upload = api.upload(photo)
    image = api.developed(upload)
    assert (image["status"], image["filenames"]) == ("developed", ["harbour at dawn.jpg"])
    assert [i["id"] for i in api.images()] == [image["id"]]
    whole = api.image(image["id"])
    assert (whole["width"], whole["height"]) == scene().size
    for rendition in whole["renditions"]:
        content = api.download(rendition["url"])
        assert len(content) == rendition["bytes"]
        with Image.open(io.BytesIO(content)) as seen:
            assert seen.size == (rendition["width"], rendition["height"])
    saved = httpx.get(whole["renditions"][0]["download"])
    assert len(saved.content) == whole["renditions"][0]["bytes"]
    name = f"harbour%20at%20dawn-{whole['renditions'][0]['name']}."
    assert saved.headers["content-disposition"].startswith(f"attachment; filename*=UTF-8''{name}")
    original = httpx.get(whole["original"])
    assert original.content == photo.read_bytes()
    assert original.headers["content-disposition"].startswith("attachment;")
    assert "harbour%20at%20dawn.jpg" in original.headers["content-disposition"]
    wait_for_mail(lab, email, "harbour")

    api.delete_image(image["id"])
    assert refused(lambda: api.image(image["id"])).slug == "image-not-found"
    assert list(api.images()) == []
    links = [rendition["url"] for rendition in whole["renditions"]]
    await_gone(links)

    token = api.token
    api.sign_out()
    # The gateway caches the authorizer's response for a while.
    manifest = load(Path("images/authorize-request").resolve())
    assert manifest.authorizer is not None
    assert manifest.authorizer.cache_seconds == CACHE_SECONDS
    api.token = token
    eventually(lambda: not signed_in(api), "the closed session ends", CACHE_SECONDS + 2, 0.5)
    assert refused(api.session).slug == "not-signed-in"
    api.close()


def signed_in(api: Api) -> bool:
    try:
        api.session()
    except ApiProblem:
        return False
    return True


def wait_for_mails(lab: LabState, recipient: str) -> list[SentMail]:
    def mails() -> list[SentMail]:
        sent = sent_mails(Path(lab.mail_folder))
        return [mail for mail in sent if mail.recipient.lower() == recipient.lower()]

    return eventually(mails, f"{recipient} gets an e-mail")


def wait_for_mail(lab: LabState, recipient: str, subject: str) -> None:
    eventually(
        lambda: any(subject in mail.subject for mail in wait_for_mails(lab, recipient)),
        f"{recipient} gets the e-mail {subject!r}",
    )


def await_gone(links: list[str]) -> None:
    eventually(
        lambda: all(httpx.get(link).status_code == 404 for link in links),
        "the renditions of a deleted image are gone",
    )


def test_upload_form_refuses_changed_fields(
    lab: LabState, new_customer: Callable[..., Customer]
) -> None:
    customer = new_customer()
    headers = {"authorization": f"Bearer {customer.api.token}"}
    wanted = {"filename": "a.jpg", "content_type": "image/jpeg"}
    form = httpx.post(f"{lab.api}/uploads", json=wanted, headers=headers).json()
    assert form["fields"]["key"].startswith(f"{customer.user_id}/{form['id']}/")
    assert form["fields"]["x-amz-meta-notify"] == customer.email
    assert "x-amz-meta-on-website" not in form["fields"], "only browsers send an origin"

    def post(**changes: str) -> int:
        fields = form["fields"] | changes
        return httpx.post(form["url"], data=fields, files={"file": jpeg()}).status_code

    assert post(key=f"another-user/{form['id']}/a.jpg") == 403
    assert post(**{"x-amz-meta-notify": "victim@darkroom.example"}) == 403
    assert post(**{"x-amz-meta-notify-name": "Eve"}) == 403
    assert post(**{"x-amz-meta-on-website": "true"}) == 403
    assert post(**{"Content-Type": "text/html"}) == 403
    assert post() in (200, 201, 204)


def test_upload_form_when_replayed_brings_no_deleted_photo_back(
    lab: LabState, customer: Customer, photo: Path
) -> None:
    api = customer.api
    form = api.upload_form(photo)
    api.post_form(form, photo)
    image = api.developed(form["id"])
    api.delete_image(image["id"])
    await_record_gone(lab, customer.user_id, image["id"])
    api.post_form(form, photo)
    s3, bucket = lab.session.client("s3"), lab.buckets["originals"]

    def undone() -> bool:
        listed = s3.list_object_versions(Bucket=bucket, Prefix=form["fields"]["key"])
        return len(listed["Versions"]) == 1

    eventually(undone, "the replayed upload is deleted")
    assert list(api.images()) == []
    assert api.image_of(form["id"]) is None


def await_record_gone(lab: LabState, owner: str, image_id: str) -> None:
    catalog = Catalog(lab.session.client("dynamodb"), lab.tables["images"])
    eventually(lambda: catalog.image(owner, image_id) is None, "the record is deleted")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filename": "", "content_type": "image/jpeg"}, "filename"),
        ({"filename": "a/b.jpg", "content_type": "image/jpeg"}, "filename"),
        ({"filename": "..", "content_type": "image/jpeg"}, "filename"),
        ({"filename": "${filename}", "content_type": "image/jpeg"}, "filename"),
        ({"filename": "a.jpg\n", "content_type": "image/jpeg"}, "filename"),
        ({"filename": "x" * 201, "content_type": "image/jpeg"}, "filename"),
        ({"filename": "a.exe", "content_type": "application/x-dosexec"}, "content_type"),
        ({"filename": "a.jpg"}, "content_type"),
        ({"filename": "a.jpg", "content_type": "image/jpeg", "bytes": 0}, "bytes"),
        ({"filename": "a.jpg", "content_type": "image/jpeg", "owner": "anna"}, "owner"),
    ],
)
def test_request_upload_invalid_is_refused(
    lab: LabState, customer: Customer, body: dict[str, Any], field: str
) -> None:
    headers = {"authorization": f"Bearer {customer.api.token}"}
    answer = httpx.post(f"{lab.api}/uploads", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["field"] for e in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("given", "stored"),
    [("image/jpg", "image/jpeg"), ("image/pjpeg", "image/jpeg"), ("image/x-png", "image/png")],
)
def test_request_upload_other_name_of_a_type_gets_the_registered_one(
    lab: LabState, customer: Customer, given: str, stored: str
) -> None:
    headers = {"authorization": f"Bearer {customer.api.token}"}
    body = {"filename": "a.jpg", "content_type": given}
    form = httpx.post(f"{lab.api}/uploads", json=body, headers=headers).json()
    assert form["fields"]["Content-Type"] == stored
    answer = httpx.post(form["url"], data=form["fields"], files={"file": jpeg()})
    assert answer.is_success


def test_request_upload_unknown_type_lists_those_that_are_taken(
    lab: LabState, customer: Customer
) -> None:
    headers = {"authorization": f"Bearer {customer.api.token}"}
    body = {"filename": "a.pdf", "content_type": "application/pdf"}
    (error,) = httpx.post(f"{lab.api}/uploads", json=body, headers=headers).json()["errors"]
    assert error["got"] == '"application/pdf"'
    for name in ("jpeg", "png", "webp", "gif", "tiff", "heic", "heif", "avif", "jpg"):
        assert f"image/{name}" in error["expected"]


def test_request_upload_with_a_recipe_signs_it_into_the_form(
    lab: LabState, customer: Customer
) -> None:
    headers = {"authorization": f"Bearer {customer.api.token}"}
    body = {"filename": "a.jpg", "content_type": "image/jpeg", "recipe": "web"}
    form = httpx.post(f"{lab.api}/uploads", json=body, headers=headers).json()
    assert form["fields"]["x-amz-meta-recipe"] == "web"
    changed = form["fields"] | {"x-amz-meta-recipe": "compact"}
    assert httpx.post(form["url"], data=changed, files={"file": jpeg()}).status_code == 403


def test_request_upload_with_an_unknown_recipe_lists_the_known_ones(
    lab: LabState, customer: Customer
) -> None:
    headers = {"authorization": f"Bearer {customer.api.token}"}
    body = {"filename": "a.jpg", "content_type": "image/jpeg", "recipe": "wed"}
    answer = httpx.post(f"{lab.api}/uploads", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "field": "recipe",
            "code": "invalid",
            "expected": "one of compact, standard, web",
            "got": '"wed"',
        }
    ]


def test_upload_with_a_recipe_gets_its_renditions(customer: Customer, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(scene(seed=77)))
    for name, sizes in (
        ("web", {"thumb", "banner", "large"}),
        (None, {"thumb", "medium", "large"}),
    ):
        image = customer.api.developed(customer.api.upload(path, recipe=name))
        shown = customer.api.image(image["id"])
        assert {r["name"] for r in shown["renditions"]} == sizes
        path.write_bytes(jpeg(scene(seed=78)))


@pytest.fixture(scope="module")
def customer(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer()


def test_list_images_pages_contain_every_photo_once(
    lab: LabState, new_customer: Callable[..., Customer], tmp_path: Path
) -> None:
    customer = new_customer()
    uploads = []
    for seed in range(5):
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(jpeg(scene(seed=seed)))
        uploads.append(customer.api.upload(path))
    newest_first = [customer.api.developed(upload)["id"] for upload in uploads]
    headers = {"authorization": f"Bearer {customer.api.token}"}
    seen: list[dict[str, str]] = []
    cursor: dict[str, str] = {}
    for _ in range(4):
        page = httpx.get(f"{lab.api}/images", params={"limit": 2, **cursor}, headers=headers).json()
        seen += page["images"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(i["id"] for i in seen) == sorted(newest_first)
    times = [i["uploaded_at"] for i in seen]
    assert times == sorted(times, reverse=True)
    wrong = httpx.get(f"{lab.api}/images", params={"cursor": "bm9uZQ"}, headers=headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "cursor")


def test_get_image_unchanged_answers_304(
    lab: LabState, new_customer: Callable[..., Customer], photo: Path
) -> None:
    customer = new_customer()
    image = customer.api.developed(customer.api.upload(photo))
    url = f"{lab.api}/images/{image['id']}"
    headers = {"authorization": f"Bearer {customer.api.token}"}
    first = httpx.get(url, headers=headers)
    again = httpx.get(url, headers=headers | {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    # The same photo under another name changes the record.
    photo = photo.rename(photo.with_name("copy.jpg"))
    customer.api.developed(customer.api.upload(photo))
    changed = httpx.get(url, headers=headers | {"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["filenames"] == ["copy.jpg", "harbour at dawn.jpg"]


def test_uploaded_again_after_deletion_is_restored(
    new_customer: Callable[..., Customer], photo: Path
) -> None:
    api = new_customer().api
    image = api.developed(api.upload(photo))
    api.delete_image(image["id"])
    upload = api.upload(photo)
    assert api.developed(upload)["id"] == image["id"]
    assert [i["id"] for i in api.images()] == [image["id"]]


def test_cors_allows_only_the_site(lab: LabState) -> None:
    site = "https://darkroom.example"

    def ask(path: str, method: str, origin: str) -> httpx.Headers:
        answer = httpx.options(
            lab.api + path,
            headers={"origin": origin, "access-control-request-method": method},
        )
        assert answer.status_code == 204
        return answer.headers

    allowed = ask("/images/7?x=1", "GET", site)
    assert allowed["access-control-allow-origin"] == site
    assert "authorization" in allowed["access-control-allow-headers"]
    for path, method, origin in (
        ("/images/7", "GET", "https://evil.example"),
        ("/users", "GET", site),
        ("/nowhere", "GET", site),
    ):
        assert "access-control-allow-origin" not in ask(path, method, origin)
    answer = httpx.post(f"{lab.api}/sessions", json={}, headers={"origin": site})
    assert answer.status_code == 400
    assert answer.headers["access-control-allow-origin"] == site
