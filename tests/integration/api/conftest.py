"""Customers of a running lab's API, and their photos."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.accounts.model import Role
from services.accounts.roles import change_role
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.client.api import Api
from services.local.state import LabState
from tests.support.accounts import signed_in
from tests.support.photos import jpeg

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Customer:
    """A signed-in account."""

    api: Api
    user_id: str
    email: str


@pytest.fixture(scope="module")
def new_customer(lab: LabState) -> Iterator[Callable[..., Customer]]:
    """Creates a customer or an administrator with a session."""
    made: list[Api] = []

    def make(role: Role = Role.CUSTOMER) -> Customer:
        forget_attempts(lab)
        api = Api(lab.api)
        made.append(api)
        email = f"{uuid.uuid4().hex[:12]}@darkroom.example"
        user = signed_in(api, lab.database(), email, "Ada Example", PASSWORD)
        if role is not Role.CUSTOMER:
            assert change_role(Users(lab.database()), sessions(lab), email, role)
            api.sign_in(email, PASSWORD)
        return Customer(api, user.id, email)

    yield make
    for api in made:
        api.close()


def sessions(lab: LabState) -> SessionStore:
    return SessionStore(lab.session.client("dynamodb"), lab.tables["sessions"])


def forget_attempts(lab: LabState) -> None:
    """Resets the rate limit: all tests share one address."""
    dynamodb, table = lab.session.client("dynamodb"), lab.tables["sign-in-attempts"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"subject": item["subject"]})


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "harbour at dawn.jpg"
    path.write_bytes(jpeg())
    return path
