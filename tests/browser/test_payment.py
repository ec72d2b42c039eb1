"""Payment with Stripe's form, in a real browser on an embedded lab.

Stripe's servers cannot be reached from a test: a stand-in replaces the script of js.stripe.com, and
the lab's payment sandbox charges. The page, its policy and the order are real.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from services.build.web import WEB
from services.gateway import site
from services.local.state import LabState
from tests.browser.visitors import check, fill_address, sign_in, to_cart, upload
from tests.support.photos import jpeg, scene

KEY = "pk_test_1"
STRIPE = "https://js.stripe.com/v3/"
STAND_IN = Path(__file__).with_name("stripe_stand_in.js").read_text(encoding="utf-8")


@pytest.fixture
def stripe(page: Page, lab: LabState) -> Page:
    """The page of a lab whose deployment uses Stripe: what its gateway would serve with the key."""
    files = site.load(WEB / "dist", (lab.endpoint,), KEY)

    def serve(route: Route) -> None:
        file = files[route.request.url.removeprefix(lab.api)]
        headers = {name.decode(): value.decode() for name, value in file.headers}
        route.fulfill(body=file.body, headers=headers)

    for path in ("/pay", "/config.json"):
        page.route(f"{lab.api}{path}", serve)
    page.route(STRIPE, lambda route: route.fulfill(body=STAND_IN, content_type="text/javascript"))
    return page


def test_customer_pays_with_the_form_of_stripe_on_its_own_page(
    stripe: Page, lab: LabState, tmp_path: Path
) -> None:
    asked: list[str] = []
    stripe.on("request", lambda request: asked.append(request.url))
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(1300, 900, seed=800)))
    sign_in(stripe, lab)
    upload(stripe, [path])
    expect(stripe.locator(".tile img.shown")).to_have_count(1)
    to_cart(stripe)
    fill_address(stripe)
    expect(stripe.get_by_label("Payment")).to_have_count(0)
    # No request to Stripe before the payment, and none from any page but that.
    assert not [url for url in asked if "stripe" in url]
    stripe.get_by_role("button", name="Continue to payment").click()
    pay = stripe.get_by_role("button", name="Pay €")
    expect(pay).to_be_enabled()
    assert [url for url in asked if "stripe" in url] == [STRIPE]
    calls = stripe.evaluate("stripeCalls")
    assert calls[0] == {"key": KEY, "locale": "en"}
    assert (calls[1]["currency"], calls[1]["paymentMethodCreation"]) == ("eur", "manual")
    assert check(stripe, "payment") == []
    pay.click()
    expect(stripe.get_by_role("alert")).to_have_text("Your card's number is incomplete.")
    # The way back has the cart as it was.
    stripe.get_by_role("link", name="Back to the cart").click()
    expect(stripe.locator(".lines li")).to_have_count(1)
    fill_address(stripe)
    stripe.get_by_role("button", name="Continue to payment").click()
    stripe.get_by_label("Card (payment)").fill("sandbox-ok")
    pay.click()
    expect(stripe.locator(".order h2")).to_contain_text("Shipped")
    assert stripe.evaluate("sessionStorage.length") == 0


def test_payment_page_says_that_the_form_cannot_be_loaded(
    stripe: Page, lab: LabState, tmp_path: Path
) -> None:
    stripe.route(STRIPE, lambda route: route.abort())
    draft = '{"key": "k", "order": {}, "lines": [], "totalMinor": 100, "currency": "EUR"}'
    stripe.evaluate("(draft) => sessionStorage.setItem('darkroom-order', draft)", draft)
    stripe.goto(f"{lab.api}/pay")
    expect(stripe.get_by_role("alert")).to_contain_text("cannot be loaded")
    expect(stripe.get_by_role("button", name="Pay €")).to_be_disabled()
