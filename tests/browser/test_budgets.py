"""Budgets of the page, counted rather than timed: bytes, layout shifts, elements, requests."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, Route, expect

from services.local.state import LabState
from tests.browser.visitors import sign_in, upload
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually

FIRST_LOAD_BYTES = 90_000
PHOTOS, A_PAGE = 5_000, 100
STEPS = 25
# Of the whole page. Rows within 1,000 pixels of a window of 1,200 x 850 have 7 x 19 tiles of at
# most five elements.
ELEMENTS_MAX = 1_000
UPLOADS, IN_FLIGHT_MAX, FAILING_EACH = 200, 6, 10
# A ThumbHash, base64.
PLACEHOLDER = "1QcSHQRnh493V4dIh4eXh1h4kJUI"
# Collects layout shifts from the beginning of the page. A number alone would not say what moved.
_OBSERVE = """
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        const moved = e.sources.map(({node}) => node?.className || node?.nodeName).join(' ');
        if (!e.hadRecentInput) shifts.push(`${e.value.toFixed(4)} ${moved}`);
      }
    }).observe({type: 'layout-shift', buffered: true});
"""
# Counts requests of uploads, to the API and to storage, until the page learns of their end.
_COUNT = """
    window.flying = 0; window.highest = 0;
    const begin = () => { flying += 1; highest = Math.max(highest, flying); };
    const end = () => { flying -= 1; };
    const send = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (...body) {
      begin();
      this.addEventListener('readystatechange', () => { if (this.readyState === 4) end(); });
      return send.apply(this, body);
    };
    const ask = window.fetch;
    window.fetch = (request, ...more) => {
      const answer = ask(request, ...more);
      if (String(request.url ?? request).endsWith('/uploads')) { begin(); answer.then(end, end); }
      return answer;
    };
"""


# Whether the middle of the window shows a row, of tiles or the name of a day.
_FILLED = (
    "document.elementFromPoint(innerWidth / 2, innerHeight / 2).closest('.grid, .day') !== null"
)


@pytest.fixture
def customer(page: Page, lab: LabState) -> Page:
    """The page of a customer without photos, which is measured from its next load on."""
    sign_in(page, lab)
    page.context.add_init_script(_OBSERVE)
    return page


def wait_until(page: Page, expression: str) -> None:
    """Waits until a JavaScript expression is true. The page's policy forbids eval, which
    Playwright's own `wait_for_function` uses."""
    eventually(lambda: page.evaluate(expression), expression)


def test_first_load_is_small_and_asks_no_other_host(customer: Page, lab: LabState) -> None:
    answers: list[Response] = []
    customer.on("response", lambda answer: answers.append(answer))
    customer.reload()
    expect(customer.get_by_text("No photos yet.")).to_be_visible()
    kinds = ("document", "script", "stylesheet", "image", "font", "manifest")
    files = [answer for answer in answers if answer.request.resource_type in kinds]
    assert {"document", "script", "stylesheet"} <= {one.request.resource_type for one in files}
    # CloudFront compresses; the lab's server does not.
    compressed = {one.url: len(gzip.compress(one.body(), 6)) for one in files}
    assert sum(compressed.values()) <= FIRST_LOAD_BYTES, compressed
    assert {urlsplit(answer.url).netloc for answer in answers} == {urlsplit(lab.api).netloc}


def test_pages_load_without_layout_shift(customer: Page, lab: LabState, tmp_path: Path) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=700)))
    upload(customer, [path])
    expect(customer.locator(".tile img.shown")).to_have_count(1)
    for address in ("#/photos", "#/cart", "#/orders", "#/account"):
        customer.goto(f"{lab.api}/{address}")
        customer.reload()
        customer.wait_for_load_state("networkidle")
        if address == "#/photos":
            expect(customer.locator(".tile img.shown")).to_have_count(1)
        assert customer.evaluate("shifts") == [], address


def many_photos(route: Route) -> None:
    """Answers GET /images: `PHOTOS` developed photos, one each half hour. The API's own paging has
    its own tests; thousands of records would only slow the lab down."""
    query = parse_qs(urlsplit(route.request.url).query)
    first = int(query.get("cursor", ["0"])[0])
    last = min(PHOTOS, first + int(query["limit"][0]))
    newest = datetime(2026, 11, 1, tzinfo=UTC)
    images = [
        {
            "id": f"{number:032x}",
            "status": "developed",
            "uploaded_at": (newest - timedelta(minutes=30 * number)).isoformat(),
            "filenames": [f"{number:04}.jpg"],
            "width": 420,
            "height": 300,
            "placeholder": PLACEHOLDER,
            "thumbnail": "/icon.svg",
        }
        for number in range(first, last)
    ]
    answer: dict[str, Any] = {
        "images": images, "next_cursor": None if last == PHOTOS else str(last)
    }  # fmt: skip
    route.fulfill(body=json.dumps(answer), content_type="application/json")


def test_grid_of_thousands_has_few_elements_and_no_layout_shift(customer: Page) -> None:
    customer.route("**/images?*", many_photos)
    customer.reload()
    expect(customer.locator(".tile img.shown").first).to_be_visible()
    # The grid fills as it is scrolled.
    for _ in range(3):
        customer.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        wait_until(customer, _FILLED)
    customer.evaluate("scrollTo(0, 0)")
    # This order needs all photos, page by page.
    customer.get_by_label("Sort by").select_option("uploadedOldest")
    expect(customer.get_by_label(f"Select {PHOTOS - 1:04}.jpg")).to_have_count(1)
    height = customer.evaluate("document.documentElement.scrollHeight")
    # Rows of at most seven tiles, each at least 150 pixels high.
    assert height > PHOTOS / 7 * 150
    seen: set[str] = set()
    for step in range(STEPS + 1):
        customer.evaluate(f"scrollTo(0, {height * step // STEPS})")
        wait_until(customer, _FILLED)
        assert customer.evaluate("document.querySelectorAll('*').length") <= ELEMENTS_MAX
        seen.update(customer.locator(".tile a").evaluate_all("(all) => all.map((a) => a.href)"))
    expect(customer.get_by_label("Select 0000.jpg")).to_have_count(1)
    assert len(seen) > STEPS
    assert customer.evaluate("shifts") == []


def test_many_uploads_are_bounded_and_survive_failures(
    customer: Page, lab: LabState, tmp_path: Path
) -> None:
    customer.add_init_script(_COUNT)
    customer.reload()
    held: list[Route] = []
    posts, stored = 0, 0
    opened = False

    def answer(route: Route) -> None:
        nonlocal posts, stored
        posts += 1
        if posts % FAILING_EACH == 0:
            route.abort()
        else:
            stored += 1
            route.fulfill(status=204, headers={"access-control-allow-origin": lab.api})

    def store(route: Route) -> None:
        """Holds the first requests, so that as many as ever are in flight at once."""
        if route.request.method != "POST":
            route.continue_()
        elif opened:
            answer(route)
        else:
            held.append(route)

    customer.route(f"{lab.endpoint}/**", store)
    paths = []
    for number in range(UPLOADS):
        path = tmp_path / f"{number:03}.jpg"
        path.write_bytes(b"\xff\xd8\xff %d" % number)
        paths.append(path)
    upload(customer, paths)
    wait_until(customer, f"flying === {IN_FLIGHT_MAX}")
    while len(held) < IN_FLIGHT_MAX:
        customer.wait_for_timeout(20)
    opened = True
    for route in held:
        answer(route)
    expect(customer.locator(".uploads li.developing")).to_have_count(UPLOADS)
    # The last request of all may be one that failed and was repeated.
    assert (stored, posts) == (UPLOADS, UPLOADS + (posts // FAILING_EACH))
    assert posts >= UPLOADS * 1.1
    assert customer.evaluate("highest") == IN_FLIGHT_MAX
