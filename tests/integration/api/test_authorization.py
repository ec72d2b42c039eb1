"""Who may do what: every route x everybody, as a table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
import pytest

from services.accounts.model import Role
from services.accounts.users import Users
from services.local.state import PROJECT, LabState
from services.platform.manifest import load_all
from tests.integration.api.conftest import PASSWORD, Customer, forget_attempts, sessions
from tests.support.photos import jpeg, scene


class Who(StrEnum):
    NOBODY = "nobody"
    OTHER = "another customer"
    ADMINISTRATOR = "administrator"
    EXPIRED = "expired token"
    TAMPERED = "tampered token"
    OWNER = "owner"  # last: what the owner deletes is gone


# Route: the status for nobody, another, administrator, expired, tampered, owner.
TABLE: dict[str, tuple[int, int, int, int, int, int]] = {
    "GET /openapi.json": (200, 200, 200, 200, 200, 200),
    "POST /users": (201, 201, 201, 201, 201, 201),
    "GET /users": (401, 403, 200, 401, 401, 403),
    "POST /sessions": (201, 201, 201, 201, 201, 201),
    "GET /sessions/current": (401, 200, 200, 401, 401, 200),
    "DELETE /sessions/current": (401, 204, 204, 401, 401, 204),
    "POST /uploads": (401, 201, 201, 401, 401, 201),
    "GET /images": (401, 200, 200, 401, 401, 200),
    "GET /images/{id}": (401, 404, 404, 401, 401, 200),
    "GET /products": (200, 200, 200, 200, 200, 200),
    "POST /orders": (401, 201, 201, 401, 401, 201),
    "GET /orders": (401, 200, 200, 401, 401, 200),
    "GET /orders/{id}": (401, 404, 404, 401, 401, 200),
    "POST /orders/{id}/cancellation": (401, 404, 404, 401, 401, 200),
    # The provider's alone, by its signature.
    "POST /payments/notices": (400, 400, 400, 400, 400, 400),
    "DELETE /images/{id}": (401, 404, 404, 401, 401, 204),
}


NO_IMAGE, NO_ORDER = "0" * 32, "00000000-0000-0000-0000-000000000000"
DELIVERY = {
    "name": "Anna Muster",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}


@dataclass(frozen=True)
class Cast:
    """The people of the table, and the owner's image."""

    owner: Customer
    other: Customer
    administrator: Customer
    image_id: str
    order_id: str

    def path(self, path: str) -> str:
        return path.replace("{id}", self.order_id if "orders" in path else self.image_id)


@pytest.fixture(scope="module")
def cast(new_customer: Callable[..., Customer], tmp_path_factory: pytest.TempPathFactory) -> Cast:
    path = tmp_path_factory.mktemp("photo") / "mine.jpg"
    path.write_bytes(jpeg(scene(1300, 1900)))
    owner = new_customer()
    image = owner.api.developed(owner.api.upload(path))
    # It waits for a payment provider that is never there, so that it can be cancelled.
    order = owner.api.order([print_of(image["id"])], "sandbox-unavailable", DELIVERY)
    return Cast(owner, new_customer(), new_customer(Role.ADMINISTRATOR), image["id"], order["id"])


def print_of(image_id: str) -> dict[str, Any]:
    return {"product_id": "print-10x15-glossy", "image_id": image_id, "quantity": 1}


def token_of(who: Who, cast: Cast, lab: LabState) -> str | None:
    """A token of its own for every cell, so that no cell ends another's session."""
    if who is Who.NOBODY:
        return None
    customer = {Who.OTHER: cast.other, Who.ADMINISTRATOR: cast.administrator}.get(who, cast.owner)
    database = lab.database()
    user = Users(database).find(customer.email)
    database.close()
    assert user is not None
    token, session = sessions(lab).open(user)
    if who is Who.TAMPERED:
        return token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    if who is Who.EXPIRED:
        lab.session.client("dynamodb").update_item(
            TableName=lab.tables["sessions"],
            Key={"token_hash": {"S": session.id}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
    return token


def body_of(route: str, cast: Cast) -> dict[str, Any] | None:
    return {
        "POST /users": {
            "email": f"{uuid.uuid4().hex[:12]}@darkroom.example",
            "name": "Somebody",
            "password": PASSWORD,
        },
        "POST /sessions": {"email": cast.owner.email, "password": PASSWORD},
        "POST /orders": {
            "lines": [print_of(cast.image_id)],
            "payment_method": "sandbox-declined",
            "delivery": DELIVERY,
        },
        "POST /uploads": {"filename": "a.jpg", "content_type": "image/jpeg"},
    }.get(route)


def test_the_table_has_every_route() -> None:
    routes = {m.http.route_key for m in load_all(PROJECT / "images") if m.http is not None}
    assert set(TABLE) == {route for route in routes if not route.startswith("OPTIONS")}


@pytest.mark.parametrize("who", Who)
@pytest.mark.parametrize("route", TABLE)
def test_who_may(route: str, who: Who, cast: Cast, lab: LabState) -> None:
    forget_attempts(lab)
    method, _, path = route.partition(" ")
    token = token_of(who, cast, lab)
    answer = httpx.request(
        method,
        lab.api + cast.path(path),
        headers={} if token is None else {"authorization": f"Bearer {token}"},
        json=body_of(route, cast),
        timeout=35,
    )
    expected = TABLE[route][list(Who).index(who)]
    assert answer.status_code == expected, answer.text
    if expected >= 400 and who is not Who.NOBODY:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], bool(problem["detail"])) == (expected, True)
    if expected == 404:
        # As if it did not exist: the same answer as for an image that does not.
        other = httpx.request(
            method,
            lab.api + path.replace("{id}", NO_ORDER if "orders" in path else NO_IMAGE),
            headers={"authorization": f"Bearer {token}"},
            timeout=35,
        )
        assert other.json()["type"] == answer.json()["type"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic YTpi", "Bearer a b", "Bearer " + "x" * 5000, "x"]
)
def test_what_is_no_token_opens_nothing(lab: LabState, header: str) -> None:
    answer = httpx.get(f"{lab.api}/images", headers={"authorization": header}, timeout=35)
    assert answer.status_code == 401
