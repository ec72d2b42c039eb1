"""A customer with sample photos and an order, and an administrator, for `darkroom up --samples`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.accounts.add_user import add_user
from services.accounts.model import Role
from services.accounts.users import Users
from services.client.api import Api
from services.local.demo.samples.photos import sample_photos
from services.local.demo.walkthrough import DELIVERY
from services.local.payment_sandbox import Method
from services.local.state import LabState

# Types that the API accepts by their file names.
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".heic", ".webp", ".avif"})
_PRINTS = 2


@dataclass(frozen=True)
class SampleAccounts:
    """The addresses of both accounts, their password, and what the customer has."""

    customer: str
    administrator: str
    password: str
    photos: int
    order_id: str


def create(state: LabState, progress: Callable[[str], None]) -> SampleAccounts:
    """Makes both accounts, without the e-mails of a sign-up, in a lab with all features. Raises
    ApiProblem, and TransientError if the photos are not developed in time."""
    password, mark = secrets.token_urlsafe(12), secrets.token_hex(3)
    customer, administrator = (f"{n}-{mark}@darkroom.example" for n in ("customer", "operator"))
    with closing(Api(state.api)) as api:
        with closing(state.database()) as database:
            users = Users(database)
            add_user(users, administrator, "Olga Operator", password)
            users.set_role(administrator, Role.ADMINISTRATOR)
            add_user(users, customer, "Carla Customer", password)
        api.sign_in(customer, password)
        paths = [path for path in sample_photos() if path.suffix.lower() in _SUFFIXES]
        images = _developed(api, paths, progress)
        progress("ordering prints")
        largest = max(images, key=lambda image: int(image["width"]) * int(image["height"]))
        smallest = min(api.products(), key=lambda one: float(one["width_mm"] * one["height_mm"]))
        line = {
            "product_id": smallest["id"],
            "image_id": largest["id"],
            "quantity": _PRINTS,
        }
        order = api.order([line], Method.OK.value, DELIVERY)
    return SampleAccounts(customer, administrator, password, len(images), str(order["id"]))


def _developed(
    api: Api, paths: list[Path], progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Uploads the photos. Returns those that were developed."""
    uploads = []
    for number, path in enumerate(paths, start=1):
        progress(f"uploading photo {number} of {len(paths)}")
        uploads.append(api.upload(path))
    images = []
    for number, upload in enumerate(uploads, start=1):
        progress(f"developing photo {number} of {len(paths)}")
        images.append(api.developed(upload))
    return [image for image in images if image["status"] == "developed"]
