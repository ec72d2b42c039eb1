"""Webhooks of a running lab: photos and orders reach a receiver on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from services.client.webhooks import verify
from tests.integration.api.conftest import Customer
from tests.support.loopback import Reply, serving
from tests.support.waiting import eventually


def test_webhook_is_called_when_a_photo_is_developed(
    new_customer: Callable[..., Customer], photo: Path
) -> None:
    api = new_customer().api
    with serving(lambda _: Reply(200)) as receiver:
        made = api.set_webhook(f"{receiver.url}/hook", ["image.developed"])
        assert api.try_webhook(made["id"])["delivered"]
        upload = api.upload(photo)
        eventually(lambda: len(receiver.received) == 2, "the webhook is called")
        api.delete_webhook(made["id"])
    tried, call = receiver.received
    assert json.loads(tried.body)["type"] == "webhook.test"
    verify([made["secret"]], call.headers, call.body, time.time())
    sent = json.loads(call.body)
    assert (sent["type"], sent["data"]["filename"]) == ("image.developed", photo.name)
    assert sent["data"]["image_id"] == api.developed(upload)["id"]
