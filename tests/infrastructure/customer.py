"""A customer of a lab: signs up, uploads a photo, orders prints of it, receives e-mails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.client.api import Api
from services.local.mailbox import SentMail, sent_code, sent_mails
from tests.infrastructure.environment import LabEnvironment
from tests.support.photos import jpeg, scene
from tests.support.waiting import scaled

EMAIL = "anna@darkroom.example"
PASSWORD = "correct horse battery staple"
DELIVERY = {
    "name": "Anna Muster",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}
SHIPPED = ["created", "validated", "reserved", "paid", "fulfilled", "shipped"]
# One about the photo; three about the order: confirmed, paid, shipped.
ORDER_MAILS = 4
# One more has the code of the sign-up.
MAILS = ORDER_MAILS + 1
MAIL_SECONDS = 60


def sign_in(api: Api, environment: LabEnvironment, email: str = EMAIL) -> None:
    """Signs up with the code from the e-mail, and signs in."""
    api.sign_up(email)
    code = sent_code(environment.mail, email, scaled(MAIL_SECONDS))
    api.confirm(email, code, "Anna Muster", PASSWORD)
    api.sign_in(email, PASSWORD)


def develop(api: Api, folder: Path) -> dict[str, Any]:
    """Uploads a photo and returns its catalogue record once it is developed."""
    photo = folder / "harbour.jpg"
    photo.write_bytes(jpeg(scene(2400, 1600, seed=7)))
    return api.developed(api.upload(photo))


def order(api: Api, image: dict[str, Any]) -> dict[str, Any]:
    """Orders two prints and returns the order in its final status."""
    line = {"product_id": "print-10x15-glossy", "image_id": image["id"], "quantity": 2}
    return api.ended(api.order([line], "sandbox-ok", DELIVERY)["id"])


def mails(environment: LabEnvironment, count: int, recipient: str | None = None) -> list[SentMail]:
    """The e-mails so far, to all or one recipient, as soon as there are `count`."""
    give_up_at = time.monotonic() + scaled(MAIL_SECONDS)
    while True:
        sent = [m for m in sent_mails(environment.mail) if recipient in (None, m.recipient)]
        if len(sent) >= count or time.monotonic() > give_up_at:
            return sent
        time.sleep(0.2)


def assert_no_dead_letters(environment: LabEnvironment, output: Mapping[str, Any]) -> None:
    sqs = environment.cloud.client("sqs")
    for function, queue in output["queues"].items():
        got = sqs.get_queue_attributes(
            QueueUrl=queue["dead_letter_url"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert got["Attributes"]["ApproximateNumberOfMessages"] == "0", function
