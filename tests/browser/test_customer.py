"""A customer's way through the web page, in a real browser on an embedded lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.local.mailbox import latest_code
from services.local.state import LabState
from services.platform.token_cookies import DEVICE, SESSION
from tests.browser.visitors import (
    PASSWORD,
    check,
    fill_address,
    open_order,
    sign_in,
    sign_up,
    to_cart,
    upload,
)
from tests.support.photos import ASCII, RATIONAL, Entry, exif, jpeg, scene
from tests.support.waiting import eventually, scaled

PHOTOS, DAMAGED = 47, 3


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Photos of different content, and some that are none."""
    paths = []
    for number in range(PHOTOS):
        path = tmp_path / f"photo-{number:02}.jpg"
        path.write_bytes(jpeg(scene(650, 450, seed=number), quality=70))
        paths.append(path)
    for number in range(DAMAGED):
        path = tmp_path / f"damaged-{number}.jpg"
        path.write_bytes(b"not a photo %d" % number)
        paths.append(path)
    return paths


def order(page: Page, payment: str) -> None:
    page.get_by_role("link", name="Photos").click()
    to_cart(page)
    fill_address(page)
    page.get_by_label("Payment").select_option(label=payment)
    page.get_by_role("button", name="Place the order").click()


def test_customer_uploads_fifty_photos_and_orders_prints(
    page: Page, lab: LabState, photos: list[Path]
) -> None:
    sign_up(page, lab.mail_folder)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(lab.api)))
    upload(page, photos)
    minutes = scaled(240) * 1000
    expect(page.locator(".tile:not(.rejected) img.shown")).to_have_count(PHOTOS, timeout=minutes)
    expect(page.locator(".tile.rejected")).to_have_count(DAMAGED, timeout=minutes)
    assert "/events" in asked
    order(page, "Sandbox: succeeds")
    expect(page.locator(".order h2")).to_contain_text("Shipped", timeout=minutes)
    expect(page.locator(".lines")).to_contain_text("Shipped")
    order(page, "Sandbox: is declined")
    expect(page.locator(".order h2")).to_contain_text("Payment declined", timeout=minutes)


def test_customer_cancels_an_order_that_waits_for_its_payment(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(1300, 900, seed=613)))
    sign_in(page, lab)
    upload(page, [path])
    expect(page.locator(".tile img.shown")).to_have_count(1)
    open_order(page, lab, "sandbox-unavailable", "print-10x15-glossy")
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.locator(".order h2")).to_contain_text("Cancelled")
    expect(page.locator(".history")).to_contain_text("You cancelled the order.")
    expect(page.get_by_role("button", name="Cancel the order")).to_have_count(0)
    expect(page.locator(".lines")).to_contain_text("Cancelled")


def test_session_survives_a_reload_and_ends_by_sign_out(page: Page, lab: LabState) -> None:
    sign_up(page, lab.mail_folder)
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies.keys() == {SESSION.name, DEVICE.name}
    for cookie in cookies.values():
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The device stays known when its session ends.
    assert [cookie["name"] for cookie in page.context.cookies()] == [DEVICE.name]
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_photo_is_deleted_from_its_dialog_after_the_time_for_an_undo(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=99)))
    sign_in(page, lab)
    upload(page, [path])
    page.locator(".tile a").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".tile")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".tile")).to_have_count(1)
    page.locator(".tile a").click()
    # At the end of the page nothing can be undone any more.
    page.get_by_role("button", name="Delete").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        page.get_by_role("link", name="Account").click()
    assert deleted.value.status == 204
    page.reload()
    page.get_by_role("link", name="Photos").click()
    expect(page.get_by_text("No photos yet.")).to_be_visible()


def test_photos_are_searched_sorted_and_deleted_together(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    paths = []
    for number, name in enumerate(("harbour", "alps", "harvest")):
        paths.append(tmp_path / f"{name}.jpg")
        paths[-1].write_bytes(jpeg(scene(420, 300, seed=600 + number)))
    sign_in(page, lab)
    upload(page, paths)
    expect(page.locator(".tile img.shown")).to_have_count(3)
    page.get_by_label("Search by name").fill("HAR")
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_label("Sort by").select_option("takenNewest")
    expect(page.get_by_role("heading", name="Without a date")).to_be_visible()
    for name in ("harbour", "harvest"):
        page.get_by_label(f"Select {name}.jpg").check()
    expect(page.get_by_text("Selected: 2")).to_be_visible()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
    page.get_by_label("Search by name").fill("")
    expect(page.locator(".tile")).to_have_count(1)


def test_print_shows_the_part_that_was_moved_into_the_frame(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "wide.jpg"
    path.write_bytes(jpeg(scene(2400, 900, seed=610)))
    sign_in(page, lab)
    upload(page, [path])
    expect(page.locator(".tile img.shown")).to_have_count(1)
    page.locator(".tile a").click()
    page.get_by_label("Product").select_option("print-10x15-glossy")
    frame = page.get_by_label("Part of the photo")
    expect(page.get_by_text("dpi on paper")).to_contain_text("3 mm outside the dashed line")
    page.get_by_text("The lab chooses the part").wait_for()
    before = frame.locator(".trim").get_attribute("x")
    frame.press("ArrowRight")
    page.get_by_text("The print shows the part in the frame.").wait_for()
    assert frame.locator(".trim").get_attribute("x") != before
    page.get_by_role("button", name="Add to the cart").click()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Cart").click()
    fill_address(page)
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Place the order").click()
    ordered = sent.value.post_data_json
    assert ordered is not None
    assert ordered["lines"][0]["focus"] == {"x": 0.55, "y": 0.5}


def test_upload_goes_on_after_a_reload(page: Page, lab: LabState, tmp_path: Path) -> None:
    path = tmp_path / "later.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=611)))
    sign_in(page, lab)
    page.route("**/uploads", lambda route: route.abort())
    page.on("dialog", lambda dialog: dialog.accept())
    upload(page, [path])
    expect(page.locator(".uploads .name")).to_have_text("later.jpg")
    page.unroute("**/uploads")
    page.reload()
    expect(page.locator(".tile img.shown")).to_have_count(1)
    page.reload()
    expect(page.locator(".tile img.shown")).to_have_count(1)
    expect(page.locator(".uploads .name")).to_have_count(0)


def delete_account(page: Page) -> None:
    page.get_by_role("link", name="Account").click()
    deletion = page.locator("section", has=page.get_by_role("heading", name="Delete the account"))
    deletion.get_by_label("Password").fill(PASSWORD)
    deletion.get_by_role("button", name="Delete the account").click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()


def test_account_lists_and_ends_sessions_and_is_deleted(page: Page, lab: LabState) -> None:
    email = sign_in(page, lab)
    other = page.context.browser.new_context(locale="en-GB")  # type: ignore[union-attr]
    second = other.new_page()
    second.goto(page.url)
    second.get_by_label("E-mail address").fill(email)
    second.get_by_label("Password").fill(PASSWORD)
    second.get_by_role("button", name="Sign in").click()
    expect(second.get_by_role("link", name="Photos")).to_be_visible()
    other.close()
    page.get_by_role("link", name="Account").click()
    expect(page.locator(".lines li")).to_have_count(2)
    page.get_by_role("button", name="End all others").click()
    expect(page.locator(".lines li")).to_have_count(1)
    photos = page.get_by_label("E-mails about developed photos")
    expect(photos).to_be_checked()
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        photos.uncheck()
    delete_account(page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_sign_in_with_wrong_password_says_so(page: Page) -> None:
    page.get_by_label("E-mail address").fill("nobody@darkroom.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("password")


def test_password_is_pasted_and_shown_until_its_field_is_left(page: Page) -> None:
    field = page.get_by_label("Password")
    assert field.get_attribute("autocomplete") == "current-password"
    page.get_by_label("E-mail address").fill(PASSWORD)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("ControlOrMeta+c")
    field.focus()
    page.keyboard.press("ControlOrMeta+v")
    expect(field).to_have_value(PASSWORD)
    expect(field).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Sign in").focus()
    expect(field).to_have_attribute("type", "password")
    expect(field).to_have_value(PASSWORD)


@pytest.mark.parametrize("leave", [sign_out, delete_account])
def test_files_that_wait_are_forgotten_when_the_user_leaves(
    page: Page, lab: LabState, tmp_path: Path, leave: Callable[[Page], None]
) -> None:
    path = tmp_path / "later.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=612)))
    sign_in(page, lab)
    page.route("**/uploads", lambda route: route.abort())
    upload(page, [path])
    expect(page.locator(".uploads .name")).to_have_text("later.jpg")
    kept = """new Promise(resolve => indexedDB.open("darkroom-uploads").onsuccess = opened =>
      opened.target.result.transaction("files").objectStore("files").count().onsuccess =
        counted => resolve(counted.target.result))"""
    eventually(lambda: page.evaluate(kept) == 1, "the file is kept")
    leave(page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate(kept) == 0


def test_forgotten_password_is_replaced_with_the_code_of_an_email(
    page: Page, lab: LabState
) -> None:
    email = sign_up(page, lab.mail_folder)
    first = latest_code(Path(lab.mail_folder), email)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Forgotten your password?").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send a code").click()
    eventually(lambda: latest_code(Path(lab.mail_folder), email) != first, "another code is sent")
    page.get_by_label("Code").fill(latest_code(Path(lab.mail_folder), email) or "")
    page.get_by_label("New password").fill(f"{PASSWORD} reset")
    page.get_by_role("button", name="Change password").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(f"{PASSWORD} reset")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Photos")).to_be_visible()


def test_file_name_is_shown_as_text_without_what_reorders_it(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "a\u202egp<i>j.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=98)))
    sign_in(page, lab)
    upload(page, [path])
    expect(page.locator(".uploads .name")).to_have_text("agp<i>j.jpg")
    expect(page.get_by_role("link", name="agp<i>j.jpg")).to_be_visible()
    expect(page.locator("i")).to_have_count(0)


def with_location(seed: int) -> bytes:
    """A photo that states 53° 30' N, 10° E."""
    gps: list[Entry] = [
        (1, ASCII, b"N\0"),
        (2, RATIONAL, [(53, 1), (30, 1), (0, 1)]),
        (3, ASCII, b"E\0"),
        (4, RATIONAL, [(10, 1), (0, 1), (0, 1)]),
    ]
    return jpeg(scene(420, 300, seed=seed), exif=exif(gps=gps))


# Pastes or drops a file as the browser does.
_TRANSFER = """
    ([kind, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}));
      const [target, event] = kind === 'paste'
        ? [window, new ClipboardEvent('paste', {clipboardData: data})]
        : [document.querySelector('.drop'),
           new DragEvent('drop', {dataTransfer: data, bubbles: true})];
      target.dispatchEvent(event);
    }
"""


def test_photos_are_pasted_and_dropped_and_show_a_location_that_was_kept(
    page: Page, lab: LabState
) -> None:
    sign_in(page, lab)
    page.evaluate(_TRANSFER, ["paste", "pasted.jpg", list(with_location(620))])
    expect(page.locator(".tile img.shown")).to_have_count(1)
    page.get_by_label("Keep the place").check()
    page.evaluate(_TRANSFER, ["drop", "dropped.jpg", list(with_location(621))])
    expect(page.locator(".tile img.shown")).to_have_count(2)
    page.get_by_role("link", name="dropped.jpg").click()
    expect(page.get_by_role("img", name="Map of the world")).to_be_visible()
    expect(page.get_by_text("53.5000° N, 10.0000° E")).to_be_visible()
    page.get_by_label("Product").wait_for()
    assert check(page, "place") == []
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="pasted.jpg").click()
    expect(page.get_by_role("heading", name="About this photo")).to_be_visible()
    expect(page.get_by_text("Taken here")).to_have_count(0)


def test_page_is_german_and_quiet_for_those_who_ask_for_it(browser: Browser, lab: LabState) -> None:
    context = browser.new_context(locale="de-DE", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{lab.api}/")
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "de"
    moving = "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one))"
    moving += ".filter((one) => one.transitionDuration !== '0s' || one.animationName !== 'none')"
    assert page.evaluate(f"{moving}.length") == 0
    # Right to left, nothing leaves the screen of a phone.
    page.set_viewport_size({"width": 320, "height": 850})
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    context.close()


def test_pages_have_no_serious_accessibility_problem(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=97)))
    found = check(page, "sign-in")
    for name in ("Forgotten your password?", "Sign in", "Create an account"):
        page.get_by_role("button", name=name).last.click()
        expect(page.get_by_label("E-mail address")).to_be_visible()
        found += check(page, name)
    sign_in(page, lab)
    upload(page, [path])
    expect(page.locator(".tile img.shown")).to_have_count(1)
    found += check(page, "photos")
    page.locator(".tile a").click()
    expect(page.locator("dialog picture img")).to_be_visible()
    page.get_by_label("Product").wait_for()
    found += check(page, "photo")
    page.get_by_role("button", name="Add to the cart").click()
    page.get_by_role("button", name="Close").click()
    for name in ("Cart", "Orders", "Account"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        found += check(page, name)
    assert found == []
