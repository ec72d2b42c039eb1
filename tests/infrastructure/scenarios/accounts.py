"""Scenarios of customers and sessions."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.accounts import totp
from services.accounts.model import Role
from services.accounts.users import Users
from services.client.api import Api
from services.events.accounts import AccountEventType, account_event, publish
from services.events.schedules import DETAIL_TYPE, SOURCE
from services.local.mailbox import latest_code
from services.platform.aws.items import to_item
from tests.infrastructure import customer
from tests.infrastructure.scenarios.photos import follow, links
from tests.infrastructure.scenarios.run import (
    ScenarioRun,
    invoke,
)
from tests.support.photos import jpeg, scene


def sign_up_and_out(run: ScenarioRun, _folder: Path) -> None:
    """Signs up, signs in and signs out."""
    with new_customer(run) as api:
        api.session()
        api.sign_out()


def repeat_sign_up_event(run: ScenarioRun, _folder: Path) -> None:
    """Delivers one request for a sign-up e-mail twice."""
    email = f"{uuid.uuid4().hex}@darkroom.example"
    event = account_event(AccountEventType.SIGN_UP_REQUESTED, email)
    for _ in range(2):
        publish(run.lab.client("sns"), run.lab.output["topics"]["account-events"], event)


def sign_out_everywhere(run: ScenarioRun, _folder: Path) -> None:
    with new_customer(run) as api:
        # A second session, as of another device.
        api.sign_in(api.session()["user"]["email"], customer.PASSWORD)
        api.sign_out(everywhere=True)


def revoke_sessions(run: ScenarioRun, _folder: Path) -> None:
    """Lists the sessions, closes one of two others, then all others."""
    with new_customer(run) as api:
        token, email = api.token, api.session()["user"]["email"]
        for _ in range(2):
            api.sign_in(email, customer.PASSWORD)
        api.token = token
        other = next(session for session in api.sessions() if not session["current"])
        api.revoke_session(other["id"])
        api.close_other_sessions()


def sign_in_from_new_network(run: ScenarioRun, _folder: Path) -> None:
    """Signs in to an account of a day, whose networks are forgotten: its owner gets a notice. Then
    signs in with the token of the device."""
    with new_customer(run) as api:
        email = api.session()["user"]["email"]
        with run.lab.database.transaction() as cursor:
            day_ago = "UPDATE users SET created_at = now() - interval '1 day' WHERE email = %s"
            cursor.execute(day_ago, [email])
        dynamodb, table = run.lab.client("dynamodb"), run.lab.output["tables"]["sign-in-attempts"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"subject": item["subject"]})
        opened = api.sign_in(email, customer.PASSWORD)
        api.sign_in(email, customer.PASSWORD, device_token=opened["device_token"])


def change_password(run: ScenarioRun, _folder: Path) -> None:
    with new_customer(run) as api:
        # A second session, which the change closes.
        api.sign_in(api.session()["user"]["email"], customer.PASSWORD)
        api.change_password(customer.PASSWORD, f"{customer.PASSWORD} changed")


def reset_password(run: ScenarioRun, _folder: Path) -> None:
    """Sets a new password with the code of an e-mail, which closes a session."""
    with new_customer(run) as api:
        email, folder = api.session()["user"]["email"], run.lab.environment.mail
        first = latest_code(folder, email)
        api.request_password_reset(email)
        code = run.until("a code", lambda: (found := latest_code(folder, email)) != first and found)
        api.reset_password(email, code, f"{customer.PASSWORD} reset")


def renew_session(run: ScenarioRun, _folder: Path) -> None:
    """Uses a session that is more than an hour old, which renews it."""
    with new_customer(run) as api:
        token = hashlib.sha256(str(api.token).encode()).hexdigest()
        run.lab.client("dynamodb").update_item(
            TableName=run.lab.output["tables"]["sessions"],
            Key={"token_hash": {"S": token}},
            UpdateExpression="SET renewed_at = :long_ago",
            ExpressionAttributeValues={":long_ago": {"N": "1"}},
        )
        api.session()


def use_api_key(run: ScenarioRun, _folder: Path) -> None:
    """Creates an API key in a session, uses it, lists and revokes it."""
    with new_customer(run) as api:
        created = api.create_api_key("a server", ["photos:read"])
        server = Api(api.url, created["key"])
        list(server.images())
        server.close()
        api.api_keys()
        api.revoke_api_key(created["id"])


def use_webhooks(run: ScenarioRun, _folder: Path) -> None:
    """Sets a webhook, lists, tries and deletes it. Nothing answers at its address."""
    with new_customer(run) as api:
        made = api.set_webhook("https://127.0.0.1:9/")
        api.webhooks()
        api.try_webhook(made["id"])
        api.delete_webhook(made["id"])


def renew_session_and_use_api_key(run: ScenarioRun, folder: Path) -> None:
    """Makes both writes of the authorizer: the renewal of a session, the last use of a key."""
    renew_session(run, folder)
    use_api_key(run, folder)


def delete_account(run: ScenarioRun, _folder: Path) -> None:
    """Deletes an account; a message of the schedule erases what is stored about it."""
    with new_customer(run) as api:
        owner = api.session()["user"]["id"]
        api.create_api_key("a server", ["photos:read"])
        api.delete_account(customer.PASSWORD)
    s3, dynamodb = run.lab.client("s3"), run.lab.client("dynamodb")
    buckets, tables = run.lab.output["buckets"], run.lab.output["tables"]
    for bucket in buckets.values():
        s3.put_object(Bucket=bucket, Key=f"{owner}/1/a.jpg", Body=b"left")
    for table, key in (("api-keys", "key_hash"), ("sessions", "token_hash")):
        item = {key: uuid.uuid4().hex, "user_id": owner, "created_at": "2026", "expires_at": 1}
        dynamodb.put_item(TableName=tables[table], Item=to_item(item))
    webhook = {"owner": owner, "endpoint": "0" * 32}
    dynamodb.put_item(TableName=tables["webhooks"], Item=to_item(webhook))
    image = {"owner": owner, "item": "image#left", "listed_at": "2026"}
    dynamodb.put_item(TableName=tables["images"], Item=to_item(image))
    run.lab.client("sqs").send_message(
        QueueUrl=run.lab.output["queues"]["erase-accounts"]["url"],
        MessageBody=json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE}),
    )
    run.until(
        "the deletion of the catalogue",
        lambda: "Item" not in dynamodb.get_item(
            TableName=tables["images"], Key=to_item({"owner": owner, "item": "image#left"})
        ),
    )  # fmt: skip


def set_up_second_factor(run: ScenarioRun, _folder: Path) -> None:
    """Sets up a second factor, which closes a second session, and removes it."""
    with new_customer(run) as api:
        token = api.token
        api.sign_in(api.session()["user"]["email"], customer.PASSWORD)
        api.token = token
        codes = enable_second_factor(api)
        api.remove_second_factor(customer.PASSWORD, codes[0])


def enable_second_factor(api: Api) -> list[str]:
    """Sets up a second factor; returns the recovery codes."""
    enrolled = api.enrol_second_factor(customer.PASSWORD)
    step = totp.step_at(time.time())
    secret = base64.b32decode(enrolled["secret"])
    return api.confirm_second_factor(totp.hotp(secret, step))


def export_account(run: ScenarioRun, folder: Path) -> None:
    """Asks for an export, downloads it, and a photo by its links."""
    path = folder / f"{uuid.uuid4().hex}.jpg"
    path.write_bytes(jpeg(scene(400, 300)))
    with new_customer(run) as api:
        api.developed(api.upload(path))
        export = api.exported()
        for link in links({"export": export, "document": json.loads(follow(export["url"]))}):
            follow(link)


def change_email_settings(run: ScenarioRun, _folder: Path) -> None:
    """Reads and changes which e-mails a customer gets."""
    run.api.change_email_settings()
    run.api.change_email_settings(photo_emails=True)


def list_users(run: ScenarioRun, _folder: Path) -> None:
    with new_customer(run, Role.ADMINISTRATOR) as api:
        list(api.users())


@contextmanager
def new_customer(run: ScenarioRun, role: Role | None = None) -> Iterator[Api]:
    """A new customer, signed in."""
    api = Api(run.api.url)
    email = f"{uuid.uuid4().hex}@darkroom.example"
    try:
        api.sign_up(email)
        code = run.until("a code", lambda: latest_code(run.lab.environment.mail, email))
        api.confirm(email, code, "Anna Muster", customer.PASSWORD)
        if role is not None:
            Users(run.lab.database).set_role(email, role)
        api.sign_in(email, customer.PASSWORD)
        yield api
    finally:
        api.close()


def run_operation(run: ScenarioRun, _folder: Path) -> None:
    """An operator gives an account that is signed in a role, twice by the same request, after a
    request that is refused."""
    with new_customer(run) as api:
        email = api.session()["user"]["email"]
        for address, id_ in (("nobody@example.com", "refused"), (email, "twice"), (email, "twice")):
            event = {
                "id": f"{id_}-{email}"[:64],
                "operator": "arn:aws:iam::000000000000:user/ada",
                "operation": "change-role",
                "arguments": {"email": address, "role": "administrator"},
            }
            invoke(run, "run-operation", event)


def reset_second_factor(run: ScenarioRun, _folder: Path) -> None:
    """An operator resets the second factor of an account."""
    with new_customer(run) as api:
        enable_second_factor(api)
        email = api.session()["user"]["email"]
        event = {
            "id": uuid.uuid4().hex,
            "operator": "arn:aws:iam::000000000000:user/ada",
            "operation": "reset-second-factor",
            "arguments": {"email": email},
        }
        invoke(run, "run-operation", event)
