"""Every store of a lab: whether it has data of customers, and what becomes of them.

A new table, bucket or Postgres table fails the first test until STORES has a line for it. The
second test compares the lines with what is found of a customer.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from services.accounts.devices import KnownDevices
from services.accounts.users import Users
from services.platform.aws.items import pages
from tests.integration.accounts.conftest import Api
from tests.integration.accounts.test_deletion import (
    BUCKETS,
    Person,
    eraser,
    fill,
    finish,
    order_of,
    request_deletion,
    run,
)
from tests.integration.accounts.test_export import (
    GET,
    POST,
    call,
    deliver,
    export_id,
    forget_photo,
    photo,
)
from tests.integration.accounts.test_second_factor import enable
from tests.support.declarations import lab_topology
from tests.support.waiting import HTTP_SECONDS, scaled

EMAIL, OTHER = "grace@example.com", "bob@example.com"


@dataclass(frozen=True)
class Store:
    """A store with data of customers. `exported` is the member of the export that has them, None
    for the reason `why`. `kept`: the erasure leaves what has no personal data."""

    exported: str | None
    why: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Without:
    """A store in which nothing names a customer, for the reason `why`."""

    why: str
    exported: str | None = None


STORES: dict[str, Store | Without] = {
    "bucket originals": Store("photos"),
    "bucket renditions": Store("photos"),
    "bucket prints": Store(None, "made of the originals by the lines of an order"),
    "bucket exports": Store(None, "the exports themselves"),
    "table images": Store("photos"),
    "table sessions": Store("sessions"),
    "table api-keys": Store("api_keys"),
    "table webhooks": Store("webhooks"),
    "table recipients": Without(
        "by a hash of the address; stays so that a suppressed address gets no e-mail",
        "email_settings",
    ),
    "table idempotency": Without("ids of deliveries; expire"),
    "table usage": Without("counters by hashes; expire"),
    "table sign-in-attempts": Without("counters by hashes; expire"),
    "postgres users": Store("account", kept=True),
    "postgres second_factors": Store("second_factor"),
    "postgres recovery_codes": Store("second_factor"),
    "postgres data_exports": Store(None, "the state of the exports themselves"),
    "postgres orders": Store("orders", kept=True),
    "postgres order_lines": Store("orders", kept=True),
    "postgres order_transitions": Store("orders", kept=True),
    "postgres reservations": Without("counts of an order's prints while it is made"),
    "postgres address_codes": Without("by a hash of the address; expire"),
    "postgres products": Without("what the lab sells"),
    "postgres stock": Without("what the lab sells"),
    "postgres alembic_version": Without("the revision of the schema"),
}


def postgres_tables(api: Api) -> list[str]:
    with api.fresh.database().transaction() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [name for (name,) in cursor.fetchall()]


def traces(api: Api, *texts: str) -> set[str]:
    """The stores of the lab in which one of the texts stands."""
    s3, dynamodb = api.session.client("s3"), api.session.client("dynamodb")
    found: dict[str, list[str]] = {}
    for name in lab_topology().buckets:
        listed = s3.list_object_versions(Bucket=api.lab.bucket(name))
        versions = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
        found[f"bucket {name}"] = [version["Key"] for version in versions]
    for name in lab_topology().tables:
        scanned = pages(dynamodb.scan, TableName=api.lab.table(name))
        found[f"table {name}"] = [str(item) for page in scanned for item in page]
    with api.fresh.database().transaction() as cursor:
        for name in postgres_tables(api):
            cursor.execute(f"SELECT t::text FROM {name} t")  # noqa: S608  from pg_tables
            found[f"postgres {name}"] = [row for (row,) in cursor.fetchall()]
    return {name for name, rows in found.items() for row in rows if any(t in row for t in texts)}


def filled(api: Api) -> tuple[Person, str]:
    """A customer with something in every store, and the id of the order."""
    person = fill(api, EMAIL)
    forget_photo(api, person.id)
    photo(api, person.id)
    order_id = order_of(api, person)
    finish(api, order_id)
    enable(api, person.token)
    users = Users(api.fresh.database())
    user = users.find(EMAIL)
    users.database.close()
    assert user is not None
    KnownDevices(api.sessions).add(user)
    api.call("change-email-settings", {"photo_emails": False}, token=person.token)
    assert call(api, POST, person.token).status == 202
    return person, order_id


def test_every_store_says_what_export_and_erasure_do_with_it(api: Api) -> None:
    topology = lab_topology()
    stores = [
        *(f"bucket {name}" for name in topology.buckets),
        *(f"table {name}" for name in topology.tables),
        *(f"postgres {name}" for name in postgres_tables(api)),
    ]
    assert sorted(STORES) == sorted(stores), "add what is new to STORES, export and erasure"
    assert set(BUCKETS) == set(topology.buckets), "fill and erase every bucket"


def test_what_is_stored_about_a_customer_is_exported_and_erased(api: Api) -> None:
    fill(api, OTHER)
    person, order_id = filled(api)
    with_data = {name for name, store in STORES.items() if isinstance(store, Store)}
    assert traces(api, person.id, EMAIL, order_id) == with_data

    deliver(api, export_id(api, person.id), EMAIL)
    url = call(api, GET, person.token).document["url"]
    document = httpx.get(url, timeout=scaled(HTTP_SECONDS)).json()
    # The table of sessions has the known devices too.
    expected = {store.exported for store in STORES.values()} - {None} | {"devices"}
    assert {name for name, value in document.items() if value} == expected | {"format", "made_at"}

    assert request_deletion(api, person) == 202
    run(eraser(api))
    kept = {name for name, store in STORES.items() if isinstance(store, Store) and store.kept}
    assert traces(api, person.id, order_id) == kept
    assert traces(api, EMAIL, "Hopper", "Hafenstr") == set()
    assert traces(api, OTHER) != set()
