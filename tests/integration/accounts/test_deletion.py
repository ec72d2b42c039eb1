"""Deletion of accounts: everything that is stored about a user, and nothing else."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from services.accounts.address_codes import AddressCodes
from services.accounts.api_keys import ApiKeyStore
from services.accounts.erase_accounts import RESERVE_SECONDS, EraseAccounts
from services.accounts.erasure import ERASED_DOMAIN, ErasedUsers, StoredData
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.orders.model import (
    Delivery,
    NewLine,
    NewOrder,
    OrderStatus,
    Product,
)
from services.orders.products import Products
from services.orders.store import Orders
from services.platform.aws.items import to_item
from services.platform.functions.sqs import Message
from services.webhooks.endpoints import EndpointStore
from tests.integration.accounts.conftest import Api
from tests.integration.accounts.support import PASSWORD, create_account, sign_in
from tests.integration.process_image.support import Crash, CrashingClient

EMAIL, OTHER = "grace@example.com", "bob@example.com"
PRODUCT = Product("print-10x15-glossy", "Print 10 x 15 cm", "glossy", 102, 152, 29, "EUR")
DELIVERY = Delivery("Grace Hopper", "Hafenstr. 1", "20457", "Hamburg", "DE")
OTHER_BUCKETS = ("renditions", "prints", "exports")
BUCKETS = ("originals", *OTHER_BUCKETS)
SCHEDULED = json.dumps({"source": "aws.events", "detail-type": "Scheduled Event"})


@dataclass(frozen=True)
class Person:
    """A user with one of everything that is stored about users."""

    id: str
    email: str
    token: str
    key: str


def fill(api: Api, email: str) -> Person:
    """Creates a user with a session, an API key, objects, catalogue items."""
    user_id = create_account(api, email)["id"]
    token = sign_in(api, email).document["token"]
    sign_in(api, email)
    body = {"name": "server", "scopes": ["photos:read"]}
    key = api.call("create-api-key", body, token=token).document["key"]
    s3, dynamodb = api.session.client("s3"), api.session.client("dynamodb")
    for bucket, number in itertools.product(BUCKETS, range(3)):
        name = {"Bucket": api.lab.bucket(bucket), "Key": f"{user_id}/{number}/a b.jpg"}
        s3.put_object(**name, Body=b"first")
        s3.put_object(**name, Body=b"second")
    s3.delete_object(Bucket=api.lab.bucket("originals"), Key=f"{user_id}/0/a b.jpg")
    for item in ("image#1", f"source#{user_id}/1/a b.jpg", f"source#{user_id}/2/a b.jpg"):
        values = {"owner": user_id, "item": item, "listed_at": "2026"}
        dynamodb.put_item(TableName=api.lab.table("images"), Item=to_item(values))
    EndpointStore(dynamodb, api.lab.table("webhooks")).set(
        user_id, "https://example.com/", (), rotate=False
    )
    return Person(user_id, email, token, key)


def order_of(api: Api, person: Person) -> str:
    database = api.fresh.database()
    Products(database).offer(PRODUCT, 5)
    line = NewLine(PRODUCT.id, "0" * 32, 1)
    order = Orders(database).create(
        NewOrder(person.id, person.email, (line,), "sandbox-ok", DELIVERY)
    )
    database.close()
    return order.id


def eraser(
    api: Api, wrap: Callable[[Any], Any] = lambda client: client, settling: timedelta = timedelta()
) -> EraseAccounts:
    s3, dynamodb = wrap(api.session.client("s3")), wrap(api.session.client("dynamodb"))
    return EraseAccounts(
        ErasedUsers(api.fresh.database(role="darkroom_erasure")),
        StoredData(
            s3,
            dynamodb,
            api.lab.bucket("originals"),
            tuple(api.lab.bucket(name) for name in OTHER_BUCKETS),
            api.lab.table("images"),
            SessionStore(dynamodb, api.lab.table("sessions")),
            ApiKeyStore(dynamodb, api.lab.table("api-keys")),
            EndpointStore(dynamodb, api.lab.table("webhooks")),
        ),
        AddressCodes(api.fresh.database(role="darkroom_erasure")),
        settling,
    )


def run(erase: EraseAccounts, seconds: float = 1000) -> None:
    erase.handle(Message("m", SCHEDULED, 1, False, time.monotonic() + seconds))
    erase.users.database.close()


def stored(api: Api, person: Person, *, markers: bool = True) -> list[str]:
    """What is stored about a person outside of Postgres, to the last object version and item;
    delete markers too if `markers`."""
    s3, dynamodb = api.session.client("s3"), api.session.client("dynamodb")
    found = []
    for bucket in BUCKETS:
        listed = s3.list_object_versions(Bucket=api.lab.bucket(bucket))
        versions = [
            *listed.get("Versions", ()),
            *(listed.get("DeleteMarkers", ()) if markers else ()),
        ]
        found += [f"{bucket}: {v['Key']}" for v in versions if person.id in v["Key"]]
    for table in ("images", "sessions", "api-keys", "webhooks"):
        items = dynamodb.scan(TableName=api.lab.table(table))["Items"]
        found += [
            f"{table}: {item}"
            for item in items
            if person.id in str(item) or person.email in str(item)
        ]
    return found


def ask(api: Api, sql: str) -> Any:
    """The first value of a query, as the schema's owner."""
    database = api.fresh.database()
    with database.transaction() as cursor:
        cursor.execute(sql)
        found = cursor.fetchone()
    database.close()
    assert found is not None
    return found[0]


def rows(api: Api, text: str) -> list[str]:
    """The rows of all tables in Postgres that contain a text."""
    found = []
    for table in ("users", "orders", "order_lines", "order_transitions"):
        sql = f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t"  # noqa: S608
        lines = str(ask(api, sql)).splitlines()
        found += [f"{table}: {line}" for line in lines if text in line]
    return found


def request_deletion(api: Api, person: Person, password: str = PASSWORD) -> int:
    answer = api.call("delete-user", {"password": password}, token=person.token)
    return answer.status


def test_deletion_ends_access_at_once(api: Api) -> None:
    person = fill(api, EMAIL)
    assert request_deletion(api, person, "a wrong password") == 403
    assert api.call("get-session", token=person.token).status == 200
    assert request_deletion(api, person) == 202
    assert api.call("get-session", token=person.token).status == 401
    assert api.call("list-images", token=person.key).status == 401
    assert sign_in(api, EMAIL).status == 401


def test_api_key_does_not_delete_the_account(api: Api) -> None:
    person = fill(api, EMAIL)
    answer = api.call("delete-user", {"password": PASSWORD}, token=person.key)
    assert answer.status == 403


def test_erasure_deletes_everything_of_the_user_and_nothing_of_others(api: Api) -> None:
    person, other = fill(api, EMAIL), fill(api, OTHER)
    of_other = stored(api, other)
    run(eraser(api))
    assert stored(api, person) != []
    assert request_deletion(api, person) == 202
    run(eraser(api))
    assert stored(api, person) == []
    assert rows(api, person.id) == []
    assert stored(api, other) == of_other
    assert api.call("get-session", token=other.token).status == 200
    assert create_account(api, EMAIL)["id"] != person.id


def test_erasure_keeps_orders_without_personal_data(api: Api) -> None:
    person = fill(api, EMAIL)
    order_id = order_of(api, person)
    finish(api, order_id)
    request_deletion(api, person)
    run(eraser(api))
    for personal in ("grace", "Grace", "Hopper", "Hafenstr", "20457", "Hamburg"):
        assert rows(api, personal) == [], personal
    database = api.fresh.database()
    order = Orders(database).get(order_id)
    database.close()
    assert order is not None
    assert (order.total_minor, order.delivery.country, order.recipient) == (29, "DE", "")
    (user,) = rows(api, f"{person.id}@{ERASED_DOMAIN}")
    assert user.startswith("users:")


def test_erasure_waits_for_open_orders(api: Api) -> None:
    person = fill(api, EMAIL)
    order_id = order_of(api, person)
    request_deletion(api, person)
    run(eraser(api))
    assert rows(api, "Hafenstr") != []
    finish(api, order_id)
    run(eraser(api))
    assert rows(api, "Hafenstr") == []
    assert stored(api, person) == []


def finish(api: Api, order_id: str) -> None:
    """Rejects and settles an order."""
    database = api.fresh.database()
    orders = Orders(database)
    orders.advance(order_id, OrderStatus.REJECTED, "test", {})
    orders.settle(order_id, None)
    database.close()


def test_account_stays_until_late_uploads_are_deleted_too(api: Api) -> None:
    person = fill(api, EMAIL)
    request_deletion(api, person)
    run(eraser(api, settling=timedelta(hours=1)))
    assert stored(api, person, markers=False) == []
    assert rows(api, EMAIL) != []
    # A form that was signed before is posted now.
    api.session.client("s3").put_object(
        Bucket=api.lab.bucket("originals"), Key=f"{person.id}/9/late.jpg", Body=b"late"
    )
    run(eraser(api))
    assert stored(api, person) == []
    assert rows(api, EMAIL) == []


def test_erasure_hides_the_copies_of_originals_in_another_bucket(api: Api) -> None:
    s3, copies = api.session.client("s3"), "copies-of-originals"
    versioned = {"Status": "Enabled"}
    s3.create_bucket(Bucket=copies)
    s3.put_bucket_versioning(Bucket=copies, VersioningConfiguration=versioned)
    # As the module `storage` of Terraform, with `replicas`.
    rule = {
        "ID": "copies", "Status": "Enabled", "Priority": 0, "Filter": {},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{copies}"},
    }  # fmt: skip
    role = "arn:aws:iam::000000000000:role/replication"
    s3.put_bucket_replication(
        Bucket=api.lab.bucket("originals"), ReplicationConfiguration={"Role": role, "Rules": [rule]}
    )
    person = fill(api, EMAIL)

    def copied() -> list[str]:
        found = s3.list_objects_v2(Bucket=copies, Prefix=person.id)
        return [item["Key"] for item in found.get("Contents", ())]

    try:
        assert len(copied()) == 2
        request_deletion(api, person)
        run(eraser(api, settling=timedelta(hours=1)))
        assert copied() == []
    finally:
        s3.delete_bucket_replication(Bucket=api.lab.bucket("originals"))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_erasure_interrupted_at_any_call_is_completed_by_the_next(api: Api, after: bool) -> None:
    person = fill(api, EMAIL)
    request_deletion(api, person)
    for crash_at in itertools.count():
        calls = itertools.count()

        def crashing(client: Any, calls: Any = calls, at: int = crash_at) -> Any:
            return CrashingClient(client, calls, at, after)

        erase = eraser(api, crashing)
        try:
            run(erase)
        except Crash:
            erase.users.database.close()
            continue
        break
    assert crash_at >= 3
    assert stored(api, person) == []
    assert rows(api, person.id) == []


def test_erasure_without_time_is_left_to_the_next_message(api: Api) -> None:
    person = fill(api, EMAIL)
    request_deletion(api, person)
    run(eraser(api), RESERVE_SECONDS - 1)
    assert rows(api, EMAIL) != []
    run(eraser(api))
    assert rows(api, EMAIL) == []
    assert stored(api, person) == []


def test_deletion_repeated_keeps_the_time_of_the_first(api: Api) -> None:
    create_account(api, EMAIL)
    database = api.fresh.database()
    users = Users(database)
    user = users.find_with_password(EMAIL)
    assert user is not None
    when = "SELECT deletion_requested_at FROM users"
    users.request_deletion(user, user.password_hash)
    first = ask(api, when)
    users.request_deletion(user, user.password_hash)
    assert ask(api, when) == first
    database.close()
