"""Budgets of the page: layout shifts, long tasks in a large grid, requests in flight."""

from __future__ import annotations

import copy
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, Route, expect

from services.local.state import LabState
from tests.browser.test_customer import sign_up, upload
from tests.support.photos import jpeg, scene
from tests.support.waiting import scaled

PHOTOS = 5_000
BATCH = 25  # of DynamoDB's BatchWriteItem
LONG_TASK_MILLISECONDS = 50
SCROLL_SECONDS = 90
UPLOADS, IN_FLIGHT_MAX, FAILING_EACH = 200, 6, 10
# Collects what the browser measures from the beginning of the page.
_OBSERVE = """
    window.shifts = []; window.tasks = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        const moved = e.sources.map(({node}) => node?.className || node?.nodeName).join(' ');
        if (!e.hadRecentInput) shifts.push(`${e.value.toFixed(4)} ${moved}`);
      }
    }).observe({type: 'layout-shift', buffered: true});
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) tasks.push(e.duration);
    }).observe({type: 'longtask', buffered: true});
"""

# Counts requests of uploads, to the API and to storage, before the page learns of their end.
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


@pytest.fixture
def one_photo(page: Page, lab: LabState, tmp_path: Path) -> Page:
    """The page of a customer with one photo, which is measured from its next load on."""
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=700)))
    sign_up(page, lab.mail_folder)
    upload(page, [path])
    expect(page.locator(".tile img.shown")).to_have_count(1)
    page.context.add_init_script(_OBSERVE)
    return page


def copy_photo(lab: LabState, count: int) -> None:
    """Makes `count` copies of the newest photo's record in the catalogue, a minute apart."""
    dynamodb, table = lab.session.client("dynamodb"), lab.tables["images"]
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    records = [
        item
        for page in pages
        for item in page["Items"]
        if item["item"]["S"].startswith("image#") and "listed_at" in item
    ]
    newest = max(records, key=lambda item: item["listed_at"]["S"])
    now = datetime.now(UTC)
    copies: list[dict[str, Any]] = []
    for number in range(count):
        item = copy.deepcopy(newest)
        at = now - timedelta(minutes=30 * (number + 1))
        image_id = uuid.uuid4().hex
        original = newest["item"]["S"].removeprefix("image#")
        for name, value in item.items():
            if value == {"S": original}:
                item[name] = {"S": image_id}
        item["item"] = {"S": f"image#{image_id}"}
        item["listed_at"] = {"S": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        copies.append({"PutRequest": {"Item": item}})
    for first in range(0, count, BATCH):
        dynamodb.batch_write_item(RequestItems={table: copies[first : first + BATCH]})


def test_grid_of_thousands_scrolls_without_long_tasks_and_layout_shifts(
    one_photo: Page, lab: LabState
) -> None:
    page = one_photo
    copy_photo(lab, PHOTOS - 1)
    page.reload()
    expect(page.locator(".tile img.shown").first).to_be_visible()
    page.evaluate("tasks.length = 0")
    # To the end, page by page, as fast as they load.
    ended: list[bool] = []

    def look(answer: Response) -> None:
        if "/images?" in answer.url and answer.ok and '"next_cursor":null' in answer.text():
            ended.append(True)

    page.on("response", look)
    give_up_at = time.monotonic() + scaled(SCROLL_SECONDS)
    while not ended and time.monotonic() < give_up_at:
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)
    height = page.evaluate("document.documentElement.scrollHeight")
    assert page.locator(".tile").count() < 200
    # 48 a day, in rows of seven: the whole height is that of all photos.
    assert height > PHOTOS / 7 * 150
    longest = page.evaluate("Math.max(0, ...tasks)")
    assert longest <= scaled(LONG_TASK_MILLISECONDS), f"a task took {longest} ms"
    assert page.evaluate("shifts") == []


def test_pages_load_without_layout_shift(one_photo: Page, lab: LabState) -> None:
    for address in ("#/photos", "#/cart", "#/orders", "#/account"):
        one_photo.goto(f"{lab.api}/{address}")
        one_photo.reload()
        one_photo.wait_for_load_state("networkidle")
        assert one_photo.evaluate("shifts") == [], address


def test_many_uploads_are_bounded_and_survive_failures(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    page.context.add_init_script(_COUNT)
    page.reload()
    sign_up(page, lab.mail_folder)
    posts = 0

    def some_fail(route: Route) -> None:
        nonlocal posts
        posts += route.request.method == "POST"
        if route.request.method == "POST" and posts % FAILING_EACH == 0:
            route.abort()
        else:
            route.continue_()

    page.route(f"{lab.endpoint}/**", some_fail)
    paths = []
    for number in range(UPLOADS):
        path = tmp_path / f"{number:03}.jpg"
        path.write_bytes(jpeg(scene(64, 48, seed=number), quality=60))
        paths.append(path)
    upload(page, paths)
    sent = page.locator(".uploads li.developing, .uploads li.done")
    expect(sent).to_have_count(UPLOADS, timeout=scaled(120) * 1000)
    assert posts >= UPLOADS * 1.1
    assert 1 < page.evaluate("highest") <= IN_FLIGHT_MAX
