"""An operator's way through the console, in a real browser on an embedded lab."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from services.accounts.model import Role
from services.local.state import LabState
from tests.browser.visitors import check, fill_address, sign_in, to_cart, upload
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually

FUNCTION = "process-image"
# An answer as on AWS: an embedded lab has no releases.
PUBLISHED = "2026-11-28T06:00:00.000Z"
RELEASES = {
    "functions": [
        {
            "name": FUNCTION,
            "live": {
                "version": "7", "image_digest": f"sha256:{'a' * 64}", "published_at": PUBLISHED,
            },
            "previous": {
                "version": "6", "image_digest": f"sha256:{'b' * 64}", "published_at": PUBLISHED,
            },
            "held": True,
        },
        {"name": "add-avif", "live": None, "previous": None, "held": False},
    ],
    "changed_at": PUBLISHED,
    "rollback_command": "make rollback ENVIRONMENT=production",
    "code_version": None,
}  # fmt: skip


@pytest.fixture
def console(page: Page, lab: LabState) -> Page:
    """The page of a signed-in administrator."""
    sign_in(page, lab, Role.ADMINISTRATOR)
    expect(page.get_by_role("link", name="Console")).to_be_visible()
    return page


def poison(lab: LabState) -> str:
    """Sends a message that fails for good. Returns a text in it."""
    mark = uuid.uuid4().hex
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": f"{mark}/one.jpg", "sequencer": "0A"}},
    }
    lab.session.client("sqs").send_message(
        QueueUrl=lab.queues[FUNCTION].url, MessageBody=json.dumps({"Records": [record]})
    )
    return mark


def find(console: Page, mark: str, count: int) -> None:
    """Filters the dead letters until `count` have the text."""
    console.get_by_role("link", name="Dead letters").first.click()
    what = f"{count} dead letters with {mark}"
    eventually(lambda: filtered(console, {"Contains": mark}) == count, what, pause_seconds=0.5)


def filtered(console: Page, filters: dict[str, str]) -> int:
    """The number of dead letters that the page shows with these filters, by label."""
    for label, value in filters.items():
        console.get_by_label(label, exact=True).fill(value)
    with console.expect_response(lambda answer: "/operations/dead-letters?" in answer.url):
        console.get_by_role("button", name="Filter").click()
    expect(console.get_by_role("button", name="Filter")).to_be_enabled()
    return console.locator(".letters > li").count()


def test_operator_replays_and_discards_a_dead_letter(console: Page, lab: LabState) -> None:
    mark = poison(lab)
    console.get_by_role("link", name="Console").click()
    find(console, mark, 1)
    letter = console.locator(".letters > li")
    expect(letter).to_contain_text("process-image")
    expect(letter.locator(".problem")).to_contain_text("not a key of an original")
    letter.get_by_role("checkbox").check()
    console.get_by_role("button", name="Dry run").click()
    expect(console.get_by_role("status")).to_have_text("Messages that a replay would send back: 1")
    console.get_by_role("button", name="Replay").click()
    expect(console.get_by_role("status")).to_have_text("Replayed: 1")
    find(console, mark, 1)
    expect(letter).to_contain_text("replays: 1")
    letter.get_by_role("checkbox").check()
    console.once("dialog", lambda dialog: dialog.accept())
    console.get_by_role("button", name="Discard").click()
    expect(console.get_by_role("status")).to_have_text("Discarded: 1")
    find(console, mark, 0)


def test_operator_filters_dead_letters_by_function_error_text_and_age(
    console: Page, lab: LabState
) -> None:
    mark = poison(lab)
    other = "send-webhook"
    lab.session.client("sqs").send_message(
        QueueUrl=lab.queues[other].dead_letter_url, MessageBody=json.dumps({"mark": mark})
    )
    console.get_by_role("link", name="Console").click()
    find(console, mark, 2)
    letters = console.locator(".letters > li")
    failed = letters.filter(has_text=FUNCTION).locator("p").first.inner_text()
    error = failed.split(" · ")[1]
    assert re.fullmatch(r"[A-Z]\w+", error)
    filters = {"Contains": mark, "Function": other, "Error type": "", "Older than (minutes)": ""}
    assert filtered(console, filters) == 1
    expect(letters).to_contain_text(other)
    assert filtered(console, filters | {"Function": "", "Error type": error}) == 1
    expect(letters).to_contain_text(FUNCTION)
    assert filtered(console, filters | {"Error type": error}) == 0
    expect(console.get_by_text("No dead letters")).to_be_visible()
    assert filtered(console, filters | {"Older than (minutes)": "60"}) == 0
    assert filtered(console, filters | {"Function": ""}) == 2


def test_operator_sees_functions_queues_and_the_trace_of_a_photo(
    console: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=96)))
    upload(console, [path])
    expect(console.locator(".tile img.shown")).to_have_count(1)
    address = console.locator(".tile a").get_attribute("href")
    assert address is not None
    image = address.rpartition("/")[2]
    console.get_by_role("link", name="Console").click()
    functions = console.get_by_role("region", name="Functions")
    expect(functions.get_by_role("row").filter(has_text=FUNCTION)).to_contain_text("ms")
    queues = console.get_by_role("region", name="Queues")
    expect(queues.get_by_role("row")).to_have_count(len(lab.queues) + 1)
    console.get_by_role("link", name="Trace").click()
    console.get_by_label("Id of a photo").fill(image)
    console.get_by_role("button", name="Show").click()
    expect(console.locator(".waterfall li").filter(has_text=FUNCTION)).to_have_count(1)
    expect(console.locator(".events li").filter(has_text="original_created")).not_to_have_count(0)
    console.get_by_role("link", name="Stock").click()
    expect(console.get_by_role("row").filter(has_text="10 x 15")).not_to_have_count(0)
    console.get_by_role("link", name="Cost").click()
    expect(console.get_by_role("region", name="Service")).to_contain_text("Lambda")
    costs = console.get_by_role("region", name="Functions").get_by_role("row")
    expect(costs.filter(has_text=FUNCTION)).to_contain_text("$")
    console.get_by_role("link", name="Releases").click()
    expect(console.get_by_text("This lab runs the code of its checkout")).to_be_visible()


def test_operator_sees_the_photo_of_a_dead_letter_and_what_a_discard_would_delete(
    console: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / f"{uuid.uuid4().hex}.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=94)))
    upload(console, [path])
    expect(console.locator(".tile img.shown")).to_have_count(1)
    bucket = lab.buckets["originals"]
    found = lab.session.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    (key,) = [item["Key"] for item in found if item["Key"].endswith(path.name)]
    # Put there by the test: the photo itself can be developed.
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0A"}},
    }
    lab.session.client("sqs").send_message(
        QueueUrl=lab.queues[FUNCTION].dead_letter_url, MessageBody=json.dumps({"Records": [record]})
    )
    console.get_by_role("link", name="Console").click()
    find(console, path.name, 1)
    picture = console.locator(".letters img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 420
    console.locator(".letters").get_by_role("checkbox").check()
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    console.once("dialog", refuse)
    console.get_by_role("button", name="Discard").click()
    expect(console.get_by_role("button", name="Discard")).to_be_enabled()
    assert asked == ["Delete the selected messages for good? Number: 1"]
    find(console, path.name, 1)


def test_operator_follows_an_order_from_the_list_to_its_story(
    console: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(1300, 900, seed=95)))
    upload(console, [path])
    expect(console.locator(".tile img.shown")).to_have_count(1)
    to_cart(console)
    fill_address(console)
    console.get_by_role("button", name="Place the order").click()
    expect(console.locator(".order h2")).to_contain_text("Shipped")
    order = console.url.rpartition("/")[2]
    console.get_by_role("link", name="Console").click()
    parts = console.get_by_role("navigation", name="Console")
    parts.get_by_role("link", name="Orders").click()
    row = console.get_by_role("row").filter(has_text=order[:8])
    expect(row).to_contain_text("Shipped")
    row.get_by_role("link", name=order[:8]).click()
    # From the order to its shipment, in the order of their beginnings.
    spans = console.locator(".waterfall li")
    for function in ("create-order", "process-payment", "fulfill-order", "send-order-shipped"):
        expect(spans.filter(has_text=re.compile(rf"^{function}"))).not_to_have_count(0)
    starts = spans.locator("rect").evaluate_all("(all) => all.map((one) => one.x.baseVal.value)")
    widths = spans.locator("rect").evaluate_all(
        "(all) => all.map((one) => one.width.baseVal.value)"
    )
    assert starts == sorted(starts)
    assert max(starts) > min(starts)
    assert all(
        width > 0 and start + width <= 101 for start, width in zip(starts, widths, strict=True)
    )
    events = console.locator(".events li")
    expect(events.filter(has_text="print_files_written")).to_have_count(1)
    expect(events.filter(has_text="payment_recorded")).not_to_have_count(0)
    assert check(console, "story of an order") == []


def test_customer_has_no_console(page: Page, lab: LabState) -> None:
    sign_in(page, lab)
    expect(page.get_by_role("link", name="Console")).to_have_count(0)
    page.goto(f"{lab.api}/#/console/health")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Only administrators")


def test_console_has_no_serious_accessibility_problem(console: Page, lab: LabState) -> None:
    mark = poison(lab)
    console.get_by_role("link", name="Console").click()
    expect(console.get_by_role("region", name="Queues")).to_be_visible()
    found = check(console, "health")
    find(console, mark, 1)
    found += check(console, "dead letters")
    for name in ("Orders", "Stock", "Cost", "Trace"):
        console.get_by_role("navigation", name="Console").get_by_role("link", name=name).click()
        console.wait_for_load_state("networkidle")
        found += check(console, name)
    console.route("**/operations/releases", lambda route: route.fulfill(json=RELEASES))
    console.get_by_role("navigation", name="Console").get_by_role("link", name="Releases").click()
    expect(console.get_by_text("make rollback ENVIRONMENT=production")).to_be_visible()
    row = console.get_by_role("row").filter(has_text=FUNCTION)
    expect(row).to_contain_text("held until its next image")
    expect(row.locator("code")).to_have_text(["a" * 12, "b" * 12])
    found += check(console, "releases")
    assert found == []
