"""Budgets of the page: layout shifts, long tasks in a large grid, requests in flight."""

from __future__ import annotations

import copy
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from services.local.state import LabState
from tests.browser.test_customer import sign_up, upload
from tests.support.photos import jpeg, scene
from tests.support.waiting import scaled

PHOTOS = 5_000
BATCH = 25  # of DynamoDB's BatchWriteItem
LONG_TASK_MILLISECONDS = 50
UPLOADS, IN_FLIGHT_MAX, FAILING_EACH = 200, 6, 10
# Collects what the browser measures from the beginning of the page.
_OBSERVE = """
    window.shifts = []; window.tasks = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) if (!e.hadRecentInput) shifts.push(e.value);
    }).observe({type: 'layout-shift', buffered: true});
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) tasks.push(e.duration);
    }).observe({type: 'longtask', buffered: true});
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
        item["item"] = {"S": f"image#{uuid.uuid4().hex}"}
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
    height = 0
    for _ in range(2 * PHOTOS):
        page.evaluate("scrollBy(0, 2 * innerHeight)")
        page.wait_for_timeout(30)
        found = page.evaluate("[document.documentElement.scrollHeight, scrollY + innerHeight]")
        if found[1] >= found[0] - 2:
            if found[0] == height:
                page.wait_for_timeout(1000)
                if page.evaluate("document.documentElement.scrollHeight") == height:
                    break
            height = found[0]
    assert page.locator(".tile").count() < 200
    # 48 a day, in rows of seven: the whole height is that of all photos.
    assert height > PHOTOS / 7 * 150
    longest = page.evaluate("Math.max(0, ...tasks)")
    assert longest <= scaled(LONG_TASK_MILLISECONDS), f"a task took {longest} ms"
    assert page.evaluate("shifts.reduce((sum, one) => sum + one, 0)") == 0


def test_pages_load_without_layout_shift(one_photo: Page, lab: LabState) -> None:
    for address in ("#/photos", "#/cart", "#/orders", "#/account"):
        one_photo.goto(f"{lab.api}/{address}")
        one_photo.reload()
        one_photo.wait_for_load_state("networkidle")
        total = one_photo.evaluate("shifts.reduce((sum, one) => sum + one, 0)")
        assert total == pytest.approx(0, abs=0.001), address


def test_many_uploads_are_bounded_and_survive_failures(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_up(page, lab.mail_folder)
    flying: set[Request] = set()
    highest, posts = 0, 0

    def is_upload(request: Request) -> bool:
        to_storage = request.url.startswith(lab.endpoint)
        return request.method == "POST" and (to_storage or request.url.endswith("/uploads"))

    def began(request: Request) -> None:
        nonlocal highest
        if is_upload(request):
            flying.add(request)
            highest = max(highest, len(flying))

    def some_fail(route: Route) -> None:
        nonlocal posts
        posts += route.request.method == "POST"
        if route.request.method == "POST" and posts % FAILING_EACH == 0:
            route.abort()
        else:
            route.continue_()

    page.on("request", began)
    page.on("requestfinished", flying.discard)
    page.on("requestfailed", flying.discard)
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
    assert 1 < highest <= IN_FLIGHT_MAX
