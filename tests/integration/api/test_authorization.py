"""Authorization: a table of every route and every kind of caller."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
import pytest

from services.accounts.address_codes import TOKEN_CHARACTERS
from services.accounts.model import Role
from services.accounts.sessions import Session
from services.accounts.users import Users
from services.local.state import PROJECT, LabState
from services.mail.recipients import TOKEN_DIGITS
from services.platform.manifest import load_all
from tests.integration.api.conftest import PASSWORD, Customer, forget_attempts, sessions
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, scaled


class CallerKind(StrEnum):
    ANONYMOUS = "anonymous"
    OTHER = "another customer"
    ADMINISTRATOR = "administrator"
    EXPIRED = "expired token"
    TAMPERED = "tampered token"
    OWNER = "owner"  # last: what the owner deletes is gone


# Route to the statuses for: anonymous, another customer, administrator, expired session, tampered
# token, owner.
TABLE: dict[str, tuple[int, int, int, int, int, int]] = {
    "GET /openapi.json": (200, 200, 200, 200, 200, 200),
    "POST /users": (202, 202, 202, 202, 202, 202),
    # Authorized by the code.
    "POST /users/confirmation": (403, 403, 403, 403, 403, 403),
    "POST /password-resets": (202, 202, 202, 202, 202, 202),
    "POST /password-resets/completion": (403, 403, 403, 403, 403, 403),
    "GET /users": (401, 403, 200, 401, 401, 403),
    "PUT /users/me/password": (401, 204, 204, 401, 401, 204),
    # A wrong password, so that the accounts stay.
    "POST /users/me/deletion": (401, 403, 403, 401, 401, 403),
    # None, since no test has the owner ask for one before.
    "GET /users/me/export": (401, 404, 404, 401, 401, 404),
    "POST /users/me/export": (401, 202, 202, 401, 401, 202),
    "GET /users/me/second-factor": (401, 200, 200, 401, 401, 200),
    # A wrong password and wrong codes, so that the accounts stay as they are.
    "POST /users/me/second-factor": (401, 403, 403, 401, 401, 403),
    "PUT /users/me/second-factor": (401, 403, 403, 401, 401, 403),
    "POST /users/me/second-factor/removal": (401, 403, 403, 401, 401, 403),
    "POST /api-keys": (401, 201, 201, 401, 401, 201),
    "GET /api-keys": (401, 200, 200, 401, 401, 200),
    "DELETE /api-keys/{id}": (401, 404, 404, 401, 401, 204),
    "POST /sessions": (201, 201, 201, 201, 201, 201),
    "GET /sessions": (401, 200, 200, 401, 401, 200),
    "DELETE /sessions/{id}": (401, 404, 404, 401, 401, 204),
    "DELETE /sessions": (401, 204, 204, 401, 401, 204),
    "GET /sessions/current": (401, 200, 200, 401, 401, 200),
    "DELETE /sessions/current": (401, 204, 204, 401, 401, 204),
    "PATCH /users/me/email-settings": (401, 200, 200, 401, 401, 200),
    "GET /unsubscribe/{token}": (200, 200, 200, 200, 200, 200),
    # Authorized by the token.
    "POST /unsubscribe/{token}": (404, 404, 404, 404, 404, 404),
    "POST /webhooks": (401, 201, 201, 401, 401, 201),
    "GET /webhooks": (401, 200, 200, 401, 401, 200),
    "POST /webhooks/{id}/test": (401, 404, 404, 401, 401, 200),
    "DELETE /webhooks/{id}": (401, 404, 404, 401, 401, 204),
    "POST /uploads": (401, 201, 201, 401, 401, 201),
    "GET /images": (401, 200, 200, 401, 401, 200),
    "GET /images/{id}": (401, 404, 404, 401, 401, 200),
    "GET /recipes": (200, 200, 200, 200, 200, 200),
    "GET /products": (200, 200, 200, 200, 200, 200),
    "POST /orders": (401, 201, 201, 401, 401, 201),
    "GET /orders": (401, 200, 200, 401, 401, 200),
    "GET /orders/{id}": (401, 404, 404, 401, 401, 200),
    "POST /orders/{id}/cancellation": (401, 404, 404, 401, 401, 200),
    "GET /operations/status": (401, 403, 200, 401, 401, 403),
    "GET /operations/releases": (401, 403, 200, 401, 401, 403),
    "GET /operations/dead-letters": (401, 403, 200, 401, 401, 403),
    "POST /operations/dead-letters/replays": (401, 403, 200, 401, 401, 403),
    "POST /operations/dead-letters/discards": (401, 403, 200, 401, 401, 403),
    # A photo's id is in the logs.
    "GET /operations/traces/{id}": (401, 403, 200, 401, 401, 403),
    "GET /operations/orders": (401, 403, 200, 401, 401, 403),
    "GET /operations/stock": (401, 403, 200, 401, 401, 403),
    # Authorized by the provider's signature.
    "POST /payments/notices": (400, 400, 400, 400, 400, 400),
    "DELETE /images/{id}": (401, 404, 404, 401, 401, 204),
}


NO_IMAGE, NO_ORDER, NO_KEY = "0" * 32, "00000000-0000-0000-0000-000000000000", "0" * 64
NO_RECEIVER = "http://127.0.0.1:9"  # the discard port: nothing listens
DELIVERY = {
    "name": "Anna Muster",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}


@dataclass(frozen=True)
class Accounts:
    """The callers of the table, and the owner's photo and order."""

    owner: Customer
    other: Customer
    administrator: Customer
    image_id: str
    order_id: str

    def path(self, path: str, lab: LabState) -> str:
        if "api-keys" in path:
            self.owner.api.token = new_session(self.owner, lab)[0]
            created = self.owner.api.create_api_key("a server", ["photos:read"])
            return path.replace("{id}", created["id"])
        if path.startswith("/webhooks/"):
            self.owner.api.token = new_session(self.owner, lab)[0]
            return path.replace("{id}", self.owner.api.set_webhook(f"{NO_RECEIVER}/owner")["id"])
        if path == "/sessions/{id}":
            return path.replace("{id}", new_session(self.owner, lab)[1].public_id)
        if path.endswith("/cancellation"):
            # An order that is a few seconds old may have ended. Other cases close the session of
            # the fixture.
            self.owner.api.token = new_session(self.owner, lab)[0]
            return path.replace("{id}", new_order(self.owner, self.image_id))
        path = path.replace("{token}", "0" * TOKEN_DIGITS)
        return path.replace("{id}", self.order_id if "orders" in path else self.image_id)


@pytest.fixture(scope="module")
def accounts(
    new_customer: Callable[..., Customer], tmp_path_factory: pytest.TempPathFactory
) -> Accounts:
    path = tmp_path_factory.mktemp("photo") / "mine.jpg"
    path.write_bytes(jpeg(scene(1300, 1900)))
    owner = new_customer()
    image = owner.api.developed(owner.api.upload(path))
    return Accounts(
        owner,
        new_customer(),
        new_customer(Role.ADMINISTRATOR),
        image["id"],
        new_order(owner, image["id"]),
    )


def new_order(owner: Customer, image_id: str) -> str:
    """An order that can be cancelled until its payment has failed several times."""
    order = owner.api.order([print_of(image_id)], "sandbox-unavailable", DELIVERY)
    order_id: str = order["id"]
    return order_id


def print_of(image_id: str) -> dict[str, Any]:
    return {"product_id": "print-10x15-glossy", "image_id": image_id, "quantity": 1}


def new_session(customer: Customer, lab: LabState) -> tuple[str, Session]:
    """A new session of the customer's, and its token."""
    database = lab.database()
    user = Users(database).find(customer.email)
    database.close()
    assert user is not None
    return sessions(lab).open(user)


def token_of(who: CallerKind, accounts: Accounts, lab: LabState) -> str | None:
    """A new token for every case, so that no case ends the session of another."""
    if who is CallerKind.ANONYMOUS:
        return None
    customer = {
        CallerKind.OTHER: accounts.other,
        CallerKind.ADMINISTRATOR: accounts.administrator,
    }.get(who, accounts.owner)
    token, session = new_session(customer, lab)
    if who is CallerKind.TAMPERED:
        return token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    if who is CallerKind.EXPIRED:
        lab.session.client("dynamodb").update_item(
            TableName=lab.tables["sessions"],
            Key={"token_hash": {"S": session.id}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
    return token


def body_of(route: str, accounts: Accounts) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "POST /users": {
            "email": f"{uuid.uuid4().hex[:12]}@darkroom.example",
        },
        "POST /users/confirmation": {
            "token": "0" * TOKEN_CHARACTERS,
            "name": "New Customer",
            "password": PASSWORD,
        },
        "POST /password-resets": {"email": accounts.owner.email},
        "POST /password-resets/completion": {
            "token": "0" * TOKEN_CHARACTERS,
            "password": PASSWORD,
        },
        "PUT /users/me/password": {"current_password": PASSWORD, "new_password": PASSWORD},
        "POST /users/me/deletion": {"password": "a wrong password"},
        "POST /users/me/second-factor": {"password": "a wrong password"},
        "PUT /users/me/second-factor": {"code": "000000"},
        "POST /users/me/second-factor/removal": {"password": PASSWORD, "code": "000000"},
        "POST /sessions": {"email": accounts.owner.email, "password": PASSWORD},
        "POST /orders": {
            "lines": [print_of(accounts.image_id)],
            "payment_method": "sandbox-declined",
            "delivery": DELIVERY,
        },
        "POST /api-keys": {"name": "a server", "scopes": ["photos:read"]},
        "POST /webhooks": {"url": f"{NO_RECEIVER}/new"},
        "PATCH /users/me/email-settings": {"photo_emails": True},
        "POST /operations/dead-letters/replays": {"all": True, "dry_run": True},
        "POST /operations/dead-letters/discards": {"all": True, "dry_run": True},
        "POST /uploads": {"filename": "a.jpg", "content_type": "image/jpeg"},
    }
    return bodies.get(route)


def test_authorization_table_covers_every_route() -> None:
    triggers = [m.http for m in load_all(PROJECT / "images") if m.http is not None]
    routes = {route.key for trigger in triggers for route in trigger.routes}
    assert set(TABLE) == {route for route in routes if not route.startswith("OPTIONS")}


@pytest.mark.parametrize("who", CallerKind)
@pytest.mark.parametrize("route", TABLE)
def test_authorization_matches_the_table(
    route: str, who: CallerKind, accounts: Accounts, lab: LabState
) -> None:
    forget_attempts(lab)
    method, _, path = route.partition(" ")
    token = token_of(who, accounts, lab)
    answer = httpx.request(
        method,
        lab.api + accounts.path(path, lab),
        headers={} if token is None else {"authorization": f"Bearer {token}"},
        json=body_of(route, accounts),
        timeout=scaled(HTTP_SECONDS),
    )
    expected = TABLE[route][list(CallerKind).index(who)]
    path = path.replace("/api-keys/{id}", f"/api-keys/{NO_KEY}")
    assert answer.status_code == expected, answer.text
    if expected >= 400 and who is not CallerKind.ANONYMOUS:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], bool(problem["detail"])) == (expected, True)
    if expected == 404:
        # The same response as for a photo that does not exist.
        missing = path.replace("{id}", NO_ORDER if "orders" in path else NO_IMAGE)
        other = httpx.request(
            method,
            lab.api + missing.replace("{token}", "1" * TOKEN_DIGITS),
            headers={"authorization": f"Bearer {token}"},
            timeout=scaled(HTTP_SECONDS),
        )
        assert other.json()["type"] == answer.json()["type"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic YTpi", "Bearer a b", "Bearer " + "x" * 5000, "x"]
)
def test_authorization_invalid_header_is_refused(lab: LabState, header: str) -> None:
    answer = httpx.get(
        f"{lab.api}/images", headers={"authorization": header}, timeout=scaled(HTTP_SECONDS)
    )
    assert answer.status_code == 401
