"""What visitors of the page do in many tests."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from services.accounts.add_user import add_user
from services.accounts.model import Role
from services.accounts.roles import change_role
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.build.web import WEB
from services.local.mailbox import sent_code
from services.local.state import LabState
from tests.support.waiting import scaled

NAME = "Ada Lovelace"
PASSWORD = "correct horse battery staple 7"
MAIL_SECONDS = 120
ADDRESS = {
    "Name": NAME,
    "Street and number": "St. James 12",
    "Postcode": "20457",
    "City": "Hamburg",
    "Country": "DE",
}
WIDTHS = (320, 1200)
SCHEMES: tuple[Literal["dark"], Literal["light"]] = ("dark", "light")
# Whether the content of an open dialog is wider than the dialog.
_WIDE_DIALOG = """
    [...document.querySelectorAll('dialog[open]')].some((one) => one.scrollWidth > one.clientWidth)
"""
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"


def new_email() -> str:
    return f"{uuid.uuid4().hex[:12]}@darkroom.example"


def sign_up(page: Page, mail_folder: str) -> str:
    """Signs up on the page with the code of the e-mail. Returns the e-mail address."""
    email = new_email()
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Create an account").click()
    code = sent_code(Path(mail_folder), email, scaled(MAIL_SECONDS))
    page.get_by_label("Code").fill(code)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()
    return email


def add_account(lab: LabState, role: Role = Role.CUSTOMER) -> str:
    """Makes an account in the database, with PASSWORD. Returns its e-mail address."""
    email = new_email()
    with closing(lab.database()) as database:
        users = Users(database)
        add_user(users, email, NAME, PASSWORD)
        if role is not Role.CUSTOMER:
            sessions = SessionStore(lab.session.client("dynamodb"), lab.tables["sessions"])
            assert change_role(users, sessions, email, role)
    return email


def sign_in(page: Page, lab: LabState, role: Role = Role.CUSTOMER) -> str:
    """Opens the page with the session of a new account. Returns its e-mail address. Sign-up by
    e-mail has tests of its own."""
    email = add_account(lab, role)
    body = {"email": email, "password": PASSWORD, "cookie": True}
    answer = page.context.request.post(f"{lab.api}/sessions", data=body)
    assert answer.ok, answer.text()
    page.reload()
    # In whichever language the page is.
    expect(page.locator("nav a[href='#/photos']")).to_be_visible()
    return email


def upload(page: Page, paths: list[Path]) -> None:
    page.locator("input[type=file]").first.set_input_files(paths)


def to_cart(page: Page) -> None:
    """Puts a print of the first photo into the cart, and opens it."""
    page.locator(".tile:not(.rejected) a").first.click()
    page.get_by_label("Product").select_option("print-10x15-glossy")
    page.get_by_role("button", name="Add to the cart").click()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Cart").click()


def open_order(page: Page, lab: LabState, payment_method: str, *products: str) -> None:
    """Orders a print of the first photo as each product, by the API, and opens the order."""
    image = str(page.locator(".tile a").first.get_attribute("href")).rpartition("/")[2]
    order = {
        "lines": [{"product_id": one, "image_id": image, "quantity": 1} for one in products],
        "payment_method": payment_method,
        "delivery": {
            "name": NAME, "line1": "Allee 1", "postcode": "20457", "city": "Ulm", "country": "DE",
        },
    }  # fmt: skip
    own = {"sec-fetch-site": "same-origin"}
    created = page.context.request.post(f"{lab.api}/orders", data=order, headers=own)
    assert created.ok, created.text()
    page.goto(f"{lab.api}/#/orders/{created.json()['id']}")


def fill_address(page: Page) -> None:
    for label, value in ADDRESS.items():
        page.get_by_label(label).fill(value)


def check(page: Page, name: str) -> list[str]:
    """What axe finds serious or critical, and whether the page is wider than the screen, from left
    to right or from right to left, or the content of a dialog wider than the dialog: on a phone and
    on a desktop, light and dark. The page has the desktop's size and is light afterwards."""
    if not AXE.exists():
        message = "axe-core is not installed: run `make web`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    problems = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 850})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            label = f"{name}, {width} pixels, {scheme}"
            results = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            problems += [
                f"{label}: {item['id']}: {item['nodes'][0]['html'][:120]}"
                for item in results["violations"]
                if item["impact"] in ("serious", "critical")
            ]
        for direction in ("rtl", "ltr"):
            page.evaluate("(direction) => { document.documentElement.dir = direction; }", direction)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{name}: wider than a screen of {width} pixels, {direction}")
        if page.evaluate(_WIDE_DIALOG):
            problems.append(f"{name}: content wider than its dialog, {width} pixels")
    return problems
