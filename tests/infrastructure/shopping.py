"""A customer's way through a lab: sign up, upload a photo, order prints of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.client.api import Api
from tests.support.photos import jpeg, scene

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
# About the photo, and the order: confirmed, paid, shipped.
MAILS = 4


def sign_in(api: Api, email: str = EMAIL) -> None:
    api.sign_up(email, "Anna Muster", PASSWORD)
    api.sign_in(email, PASSWORD)


def develop(api: Api, folder: Path) -> dict[str, Any]:
    """The catalogue's record of a photo that was uploaded and developed."""
    photo = folder / "harbour.jpg"
    photo.write_bytes(jpeg(scene(2400, 1600, seed=7)))
    return api.developed(api.upload(photo))


def order(api: Api, image: dict[str, Any]) -> dict[str, Any]:
    """An order of two prints, at its end."""
    line = {"product_id": "print-10x15-glossy", "image_id": image["id"], "quantity": 2}
    return api.ended(api.order([line], "sandbox-ok", DELIVERY)["id"])
