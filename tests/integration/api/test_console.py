"""The operator console's API on a running lab: an administrator looks, replays and discards."""

from __future__ import annotations

import json
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.accounts.model import Role
from services.local.state import PROJECT, LabState
from services.orders.model import OrderStatus
from tests.integration.api.conftest import Customer
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

FUNCTION = "process-image"
ADDRESS = {
    "name": "Ada Example", "line1": "Hafenstr. 1", "postcode": "20457", "city": "Hamburg",
    "country": "DE",
}  # fmt: skip


@pytest.fixture(scope="module")
def administrator(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer(Role.ADMINISTRATOR)


@pytest.fixture
def call(lab: LabState, administrator: Customer) -> Callable[..., httpx.Response]:
    """Calls a route of the console as the administrator."""

    def send(method: str, path: str, **arguments: Any) -> httpx.Response:
        return httpx.request(
            method,
            f"{lab.api}/operations{path}",
            headers={"authorization": f"Bearer {administrator.api.token}"},
            timeout=scaled(HTTP_SECONDS),
            **arguments,
        )

    return send


def dead_letter(lab: LabState, call: Callable[..., httpx.Response], key: str) -> dict[str, Any]:
    """Sends a notification with a key that no original has, and waits for its dead letter."""
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "another-bucket"}, "object": {"key": key, "sequencer": "0A"}},
    }
    lab.session.client("sqs").send_message(
        QueueUrl=lab.queues[FUNCTION].url, MessageBody=json.dumps({"Records": [record]})
    )

    def found() -> list[dict[str, Any]]:
        letters = call("GET", "/dead-letters", params={"text": key}).json()["letters"]
        return [letter for letter in letters if letter["function"] == FUNCTION]

    return eventually(found, "the message becomes a dead letter")[0]


def test_status_reports_functions_and_queues(
    call: Callable[..., httpx.Response], new_customer: Callable[..., Customer], tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=501)))
    customer = new_customer()
    customer.api.developed(customer.api.upload(path))
    status = call("GET", "/status").json()
    functions = {item["name"]: item for item in status["functions"]}
    developed = functions[FUNCTION]
    assert developed["invocations"] >= 1
    assert 0 < developed["p50_ms"] <= developed["p99_ms"]
    assert developed["cold_starts"] >= 1
    # This invocation itself runs.
    assert functions["get-lab-status"]["in_flight"] is not None
    assert functions["erase-accounts"]["p99_ms"] is None or functions["erase-accounts"]["p99_ms"]
    queues = {item["function"]: item for item in status["queues"]}
    assert set(queues) <= set(functions)
    assert queues[FUNCTION].keys() == {
        "function", "waiting", "in_flight", "dead_letters", "oldest_seconds", "history",
    }  # fmt: skip


def test_releases_of_an_embedded_lab_are_the_version_of_its_code(
    call: Callable[..., httpx.Response],
) -> None:
    found = call("GET", "/releases").json()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (found["code_version"], found["rollback_command"], found["changed_at"]) == (
        project["version"], None, None,
    )  # fmt: skip
    functions = {item["name"]: item for item in found["functions"]}
    assert functions[FUNCTION] == {
        "name": FUNCTION, "live": None, "previous": None, "held": False,
    }  # fmt: skip


def test_dead_letter_has_its_reason_and_a_link_to_the_photo(
    lab: LabState, call: Callable[..., httpx.Response]
) -> None:
    key = f"{uuid.uuid4().hex}/a+photo.jpg"
    letter = dead_letter(lab, call, key)
    assert letter["reason"]
    assert lab.buckets["originals"] in letter["photo"]
    assert "a%20photo.jpg" in letter["photo"]
    assert call("GET", "/dead-letters", params={"text": "no letter has this"}).json() == {
        "letters": [],
        "found": 0,
        "unread": [],
    }


def test_replay_dry_run_changes_nothing_and_replay_sends_the_message_back(
    lab: LabState, call: Callable[..., httpx.Response]
) -> None:
    key = f"{uuid.uuid4().hex}/b.jpg"
    letter = dead_letter(lab, call, key)
    selection = {"message_ids": [letter["message_id"]]}
    expected = [{"function": FUNCTION, "message_id": letter["message_id"]}]
    for dry_run in (True, False):
        done = call("POST", "/dead-letters/replays", json={**selection, "dry_run": dry_run})
        assert (done.status_code, done.json()["letters"]) == (200, expected)

    def again() -> list[dict[str, Any]]:
        letters = call("GET", "/dead-letters", params={"text": key}).json()["letters"]
        return [one for one in letters if one["replays"] == 1]

    assert eventually(again, "the replayed message fails again")


def test_discard_deletes_what_the_filter_selects_and_leaves_a_log_event(
    lab: LabState, call: Callable[..., httpx.Response], administrator: Customer
) -> None:
    key = f"{uuid.uuid4().hex}/c.jpg"
    letter = dead_letter(lab, call, key)
    done = call("POST", "/dead-letters/discards", json={"all": True, "text": key})
    assert [one["message_id"] for one in done.json()["letters"]] == [letter["message_id"]]
    assert call("GET", "/dead-letters", params={"text": key}).json()["found"] == 0
    log = (Path(lab.mail_folder).parent / "logs" / "gateway.log").read_text(encoding="utf-8")
    events = [json.loads(line) for line in log.splitlines() if '"dead_letter_resolved"' in line]
    (event,) = [one for one in events if one["message_id"] == letter["message_id"]]
    assert (event["action"], event["user_id"], event["failed_function"]) == (
        "dead_letter_discarded", administrator.user_id, FUNCTION,
    )  # fmt: skip


@pytest.mark.parametrize("selection", [{}, {"all": True, "message_ids": [str(uuid.uuid4())]}])
def test_replay_without_or_with_two_selections_is_refused(
    call: Callable[..., httpx.Response], selection: dict[str, Any]
) -> None:
    answer = call("POST", "/dead-letters/replays", json=selection)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "message_ids")


def test_replay_of_an_unknown_letter_is_not_found(call: Callable[..., httpx.Response]) -> None:
    answer = call("POST", "/dead-letters/replays", json={"message_ids": [str(uuid.uuid4())]})
    assert answer.status_code == 404


def test_order_is_traced_listed_and_counted_and_its_stock_is_shown(
    call: Callable[..., httpx.Response], new_customer: Callable[..., Customer], tmp_path: Path
) -> None:
    path = tmp_path / "two.jpg"
    path.write_bytes(jpeg(scene(1300, 900, seed=502)))
    customer = new_customer()
    image = customer.api.developed(customer.api.upload(path))
    before = stock(call)
    line = {"product_id": "print-10x15-glossy", "image_id": image["id"], "quantity": 2}
    order = customer.api.order([line], "sandbox-ok", ADDRESS)

    def listed() -> list[dict[str, Any]]:
        page = call("GET", "/orders", params={"status": "shipped", "limit": 100}).json()
        return [one for one in page["orders"] if one["id"] == order["id"]]

    (found,) = eventually(listed, "the order ships")
    assert (found["prints"], found["country"], found["status"]) == (2, "DE", "shipped")
    page = call("GET", "/orders", params={"limit": 1}).json()
    counts = {one["status"]: one["orders"] for one in page["counts"]}
    assert set(counts) == {status.value for status in OrderStatus}
    assert counts["shipped"] >= 1
    assert stock(call)["sold"] >= before["sold"] + 2
    trace = call("GET", f"/traces/{order['id']}").json()
    assert {"create-order", "process-payment", "fulfill-order"} <= {
        span["function"] for span in trace["spans"]
    }
    assert call("GET", "/traces/nothing-has-this").status_code == 404


def stock(call: Callable[..., httpx.Response]) -> dict[str, Any]:
    products = {one["id"]: one for one in call("GET", "/stock").json()["products"]}
    return dict(products["print-10x15-glossy"])
