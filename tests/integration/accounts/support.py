"""Accounts and sessions by the API."""

from __future__ import annotations

import json
import uuid
from typing import Any

import msgspec

from services.accounts.add_user import add_user
from services.accounts.api import account
from services.accounts.model import Role
from services.accounts.roles import change_role
from services.accounts.users import Users
from tests.integration.accounts.conftest import Answered, Api

PASSWORD = "correct horse battery"


def create_account(api: Api, email: str = "ada@example.com") -> dict[str, Any]:
    """Creates an account as an operator does; the document that the API has of it."""
    users = Users(api.fresh.database())
    user = add_user(users, email, "Ada", PASSWORD)
    users.database.close()
    document: dict[str, Any] = msgspec.to_builtins(account(user))
    return document


def sign_in(
    api: Api, email: str = "ada@example.com", password: str = PASSWORD, **more: str
) -> Answered:
    return api.call("open-session", {"email": email, "password": password}, **more)  # type: ignore[arg-type]


def administrator_token(api: Api) -> str:
    create_account(api, "root@example.com")
    change_role(Users(api.fresh.database()), api.sessions, "root@example.com", Role.ADMINISTRATOR)
    token: str = sign_in(api, "root@example.com").document["token"]
    return token


def slug(answer: Answered) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.document["type"]).rpartition(":")[2]


# -- create-user


NEW_PASSWORD = "battery staple correct"


def change_password(
    api: Api, token: str | None, current: str = PASSWORD, new: str = NEW_PASSWORD, **more: str
) -> Answered:
    body = {"current_password": current, "new_password": new}
    return api.call("change-password", body, token=token, **more)  # type: ignore[arg-type]


def revoke(api: Api, token: str, session_id: str) -> Answered:
    return api.call("revoke-session", token=token, path={"id": session_id})


def notice_queue(api: Api) -> str:
    """The URL of a new queue of the account events from now on."""
    sqs = api.session.client("sqs")
    url: str = sqs.create_queue(QueueName=f"notices-{uuid.uuid4().hex}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    api.session.client("sns").subscribe(
        TopicArn=api.lab.topic("account-events"),
        Protocol="sqs",
        Endpoint=attributes["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return url


def receive_notices(api: Api, queue_url: str) -> list[dict[str, Any]]:
    """The events in the queue, which it leaves empty."""
    sqs = api.session.client("sqs")
    found = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", ())
    for message in found:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]
