"""The event stream of a running lab: photos and orders reach their owner."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import httpx

from services.local.state import LabState
from tests.integration.api.conftest import PASSWORD, Customer
from tests.support.waiting import HTTP_SECONDS, scaled


@contextmanager
def stream(lab: LabState, customer: Customer) -> Iterator[Queue[Any]]:
    """The events of a stream in a session of its own; None at its end."""
    body = {"email": customer.email, "password": PASSWORD}
    token = httpx.post(f"{lab.api}/sessions", json=body, timeout=scaled(HTTP_SECONDS)).json()
    found: Queue[Any] = Queue()
    with (
        httpx.Client(timeout=scaled(HTTP_SECONDS)) as client,
        client.stream(
            "GET", f"{lab.api}/events", headers={"authorization": f"Bearer {token['token']}"}
        ) as answer,
    ):
        assert answer.status_code == 200

        def read() -> None:
            try:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        found.put(json.loads(line.removeprefix("data: ")))
            except httpx.HTTPError:
                pass  # the test closed it
            found.put(None)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield found
        answer.close()


def test_stream_reports_developed_photos_to_their_owner_only(
    lab: LabState, new_customer: Callable[..., Customer], photo: Path
) -> None:
    owner, other = new_customer(), new_customer()
    with stream(lab, owner) as events, stream(lab, other) as others:
        upload = owner.api.upload(photo)
        event = events.get(timeout=scaled(60))
        assert (event["type"], event["correlation_id"]) == ("image.developed", upload)
        image = owner.api.developed(upload)["id"]
        assert event["id"] == image
        assert set(event) == {"type", "id", "time", "correlation_id"}
        owner.api.delete_image(image)
        deleted = events.get(timeout=scaled(60))
        assert (deleted["type"], deleted["id"]) == ("image.deleted", image)
        assert others.empty()
