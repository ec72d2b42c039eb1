"""A new customer's calls to the HTTP API, step by step, for the demo."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.client.api import Api
from services.local.mailbox import sent_code
from services.local.payment_sandbox import Method
from services.local.terminal import page
from services.orders.money import money

DELIVERY = {
    "name": "A visitor",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}
PRINTS = 2
MAIL_SECONDS = 60
# To a new customer, besides those about orders: the code, and the photo.
CUSTOMER_MAILS = 2


@dataclass(frozen=True)
class Step:
    """One API call, its outcome in words, and its duration in milliseconds."""

    call: str
    outcome: str
    milliseconds: float


@dataclass(frozen=True)
class Visit:
    """The steps of a customer, and the resulting orders as the API shows them at the end."""

    steps: tuple[Step, ...]
    orders: tuple[dict[str, Any], ...]


@dataclass
class Walkthrough:
    """A customer who signs up with the code of an e-mail, uploads a photo, looks at it, orders
    prints of it (once with a card that is declined), deletes it and signs out."""

    api: Api
    email: str
    mail_folder: Path
    orders: list[dict[str, Any]] = field(default_factory=list)
    _last: Any = None

    def go(self, photo: Path) -> Iterator[Step]:
        """Makes the calls. Yields each step when it is done."""
        password = secrets.token_urlsafe(16)
        yield self._step(
            "POST /users",
            lambda: self.api.sign_up(self.email),
            lambda _: f"a code is sent to {self.email}",
        )
        yield self._step(
            "POST /users/confirmation",
            lambda: self.api.confirm(
                self.email,
                sent_code(self.mail_folder, self.email, MAIL_SECONDS),
                "A visitor",
                password,
            ),
            lambda user: f"account {user['email']}",
        )
        yield self._step(
            "POST /sessions",
            lambda: self.api.sign_in(self.email, password),
            lambda session: f"signed in until {session['expires_at'][:10]}",
        )
        yield self._step(
            "POST /uploads, then the form",
            lambda: self.api.upload(photo),
            lambda upload: f"{photo.name} is upload {upload[:8]}...",
        )
        upload = self._last
        yield self._step(
            "GET /images?upload=...",
            lambda: self.api.developed(upload),
            lambda image: f"{image['status']}, {image['width']} x {image['height']} pixels",
        )
        image_id = self._last["id"]
        yield self._step(
            "GET /images/{id}",
            lambda: self.api.image(image_id),
            lambda image: f"{len(image['renditions'])} private links",
        )
        link = self._last["renditions"][0]["url"]
        yield self._step(
            "GET a rendition's link",
            lambda: self.api.download(link),
            lambda content: f"{len(content):,} bytes",
        )
        yield self._step(
            "GET /products",
            self.api.products,
            lambda products: f"{len(products)} kinds of print",
        )
        smallest = min(self._last, key=lambda item: item["width_mm"] * item["height_mm"])
        for method in (Method.OK, Method.DECLINED):
            yield from self._order(smallest["id"], image_id, method)
        yield self._step(
            "DELETE /images/{id}",
            lambda: self.api.delete_image(image_id),
            lambda _: "gone from the list: " + ("yes" if not list(self.api.images()) else "NO"),
        )
        yield self._step(
            "DELETE /sessions/current", lambda: self.api.sign_out(), lambda _: "signed out"
        )

    def _order(self, product_id: str, image_id: str, method: Method) -> Iterator[Step]:
        line = {"product_id": product_id, "image_id": image_id, "quantity": PRINTS}
        key = secrets.token_urlsafe(16)
        yield self._step(
            f"POST /orders ({method.value})",
            lambda: self.api.order([line], method.value, DELIVERY, key),
            lambda order: (
                f"{PRINTS} x {order['lines'][0]['product_name']}, "
                + money(order["total_minor"], order["currency"])
            ),
        )
        order_id = self._last["id"]
        yield self._step(
            "GET /orders/{id}, to its end",
            lambda: self.api.ended(order_id),
            lambda order: ", ".join(step["status"] for step in order["history"]),
        )
        self.orders.append(self._last)

    def _step(self, call: str, act: Callable[[], Any], outcome: Callable[[Any], str]) -> Step:
        started = time.monotonic()
        self._last = act()
        milliseconds = (time.monotonic() - started) * 1000
        return Step(call, outcome(self._last), milliseconds)


def walk(api_url: str, mail_folder: Path, photo: Path) -> Visit:
    """Makes all calls with `photo`, and reads the code from the e-mail in `mail_folder`."""
    with closing(Api(api_url)) as api:
        email = f"visitor-{secrets.token_hex(4)}@darkroom.example"
        customer = Walkthrough(api, email, mail_folder)
        steps = tuple(customer.go(photo))
    return Visit(steps, tuple(customer.orders))


def mails_about(order: dict[str, Any]) -> int:
    """How many e-mails an ended order causes: created, paid, and its end."""
    return len({"created", "paid", order["status"]} & {step["status"] for step in order["history"]})


def show(visit: Visit, api_url: str) -> None:
    """Prints the steps as a table."""
    page.print(f"\n[bold]A new customer, by HTTP alone[/] ({api_url}):")
    table = Table("call", "outcome", "ms", box=None, pad_edge=False, header_style="bold")
    table.columns[2].justify = "right"
    for step in visit.steps:
        table.add_row(escape(step.call), escape(step.outcome), f"{step.milliseconds:.0f}")
    page.print(table)
