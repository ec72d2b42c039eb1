"""Scenarios of an operator who uses the console."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from services.accounts.model import Role
from tests.infrastructure.scenarios.accounts import new_customer
from tests.infrastructure.scenarios.run import LinkRefusedError, Scenario, ScenarioRun
from tests.support.waiting import HTTP_SECONDS, scaled

FORBIDDEN, NOT_FOUND = 403, 404
FUNCTION = "process-image"
FUNCTIONS = (
    "get-lab-status", "list-dead-letters", "replay-dead-letters", "discard-dead-letters",
    "get-trace", "list-lab-orders", "list-stock",
)  # fmt: skip


def show(path: str) -> Scenario:
    """An administrator asks for a part of the console."""

    def scenario(run: ScenarioRun, _folder: Path) -> None:
        with new_customer(run, Role.ADMINISTRATOR) as api:
            call(api, "GET", path)

    return scenario


def list_dead_letters(run: ScenarioRun, _folder: Path) -> None:
    """An administrator lists a dead letter and follows the link to its photo."""
    with new_customer(run, Role.ADMINISTRATOR) as api:
        letter = dead_letter(run, api)
        if httpx.get(letter["photo"], timeout=scaled(HTTP_SECONDS)).status_code == FORBIDDEN:
            raise LinkRefusedError


def resolve(action: str) -> Scenario:
    """An administrator replays or discards a dead letter."""

    def scenario(run: ScenarioRun, _folder: Path) -> None:
        with new_customer(run, Role.ADMINISTRATOR) as api:
            body = {"message_ids": [dead_letter(run, api)["message_id"]]}
            # The list that found the letter may still hold it.
            run.until(
                f"the letter is found for {action}",
                lambda: call(api, "POST", f"dead-letters/{action}", body).status_code != NOT_FOUND,
            )

    return scenario


def dead_letter(run: ScenarioRun, api: Any) -> dict[str, Any]:
    """A new dead letter about a photo."""
    key = f"{uuid.uuid4().hex}/one.jpg"
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "0A"}},
    }
    queue = run.lab.output["queues"][FUNCTION]
    run.lab.client("sqs").send_message(
        QueueUrl=queue["url"], MessageBody=json.dumps({"Records": [record]})
    )

    def letters() -> list[dict[str, Any]]:
        answer = call(api, "GET", f"dead-letters?text={key}")
        found: list[dict[str, Any]] = answer.json().get("letters", [])
        return found

    found: list[dict[str, Any]] = run.until("a dead letter", letters)
    return found[0]


def call(api: Any, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    return httpx.request(
        method,
        f"{api.url}/operations/{path}",
        headers={"authorization": f"Bearer {api.token}"},
        json=body,
        timeout=scaled(HTTP_SECONDS),
    )
