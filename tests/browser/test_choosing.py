"""Ways to choose, see and save photos and to order, in which a browser's own controls matter:
folders, a phone's camera, formats of pictures, placeholders, downloads, the keyboard. In a real
browser on an embedded lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FileChooser, FilePayload, Locator, Page, Route, expect

from services.local.state import LabState
from tests.browser.visitors import ADDRESS, MAIL_SECONDS, PASSWORD, check, sign_in
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually

# Tabs until a control has the focus: more than any page has controls.
TABS_MAX = 60


def photo(path: Path, seed: int, width: int = 420) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(scene(width, width * 9 // 13, seed=seed)))
    return path


def choose_folder(page: Page, folder: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="a folder").click()
    assert chooser.value.element.evaluate("(input) => input.webkitdirectory")
    chooser.value.set_files(folder)


def drop_folder(page: Page, folder: Path) -> None:
    """Drops it as from the desktop's file manager: a script can make no directory."""
    box = page.locator(".drop").bounding_box()
    assert box is not None
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
        browser.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


@pytest.mark.parametrize("give", [choose_folder, drop_folder])
def test_folder_is_uploaded_with_the_folders_in_it(
    page: Page, lab: LabState, tmp_path: Path, give: Callable[[Page, Path], None]
) -> None:
    folder = tmp_path / "summer"
    photo(folder / "beach.jpg", 640)
    photo(folder / "august" / "week 1" / "boat.jpg", 641)
    (folder / "august" / "notes.txt").write_text("no photo", encoding="utf-8")
    sign_in(page, lab)
    give(page, folder)
    expect(page.locator(".tile img.shown")).to_have_count(2)
    for name in ("beach.jpg", "boat.jpg"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    notes = page.locator(".uploads li").filter(has_text="notes.txt")
    expect(notes).to_contain_text("Not a photo format")


def test_camera_takes_a_photo_at_once_and_the_chooser_offers_photos_only(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_in(page, lab)
    # On a desktop, browsers ignore `capture`: the button is for touch screens alone.
    expect(page.get_by_role("button", name="the camera")).to_be_hidden()
    phone = page.context.browser.new_context(  # type: ignore[union-attr]
        locale="en-GB", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True,
        storage_state=page.context.storage_state(),
    )  # fmt: skip
    mobile = phone.new_page()
    mobile.goto(page.url)

    def chooser(button: str) -> FileChooser:
        with mobile.expect_file_chooser() as opened:
            mobile.get_by_role("button", name=button).tap()
        return opened.value

    camera = chooser("the camera")
    shown = [camera.element.get_attribute(name) for name in ("capture", "accept")]
    assert shown == ["environment", "image/*"]
    camera.set_files(photo(tmp_path / "image.jpg", 642))
    expect(mobile.locator(".tile img.shown")).to_have_count(1)
    files = chooser("choose files")
    assert files.is_multiple()
    assert files.element.get_attribute("capture") is None
    assert {".heic", ".avif", "image/*"} <= set(
        str(files.element.get_attribute("accept")).split(",")
    )
    phone.close()


def test_picture_offers_the_smallest_format_first_and_has_its_size(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_in(page, lab)
    # The page leaves the choice of a recipe to the lab, whose own one has no AVIF.
    wanted = {"filename": "wide.jpg", "content_type": "image/jpeg", "recipe": "compact"}
    requests = page.context.request
    own = {"sec-fetch-site": "same-origin"}
    form = requests.post(f"{lab.api}/uploads", data=wanted, headers=own).json()
    file: FilePayload = {
        "name": "wide.jpg",
        "mimeType": "image/jpeg",
        "buffer": photo(tmp_path / "wide.jpg", 643, width=1300).read_bytes(),
    }
    assert requests.post(form["url"], multipart={**form["fields"], "file": file}).ok

    def with_avif() -> str | None:
        """The photo's id, once it has AVIF, which follows after the other formats."""
        listed = requests.get(f"{lab.api}/images?upload={form['id']}", headers=own).json()
        for image in listed["images"]:
            found = requests.get(f"{lab.api}/images/{image['id']}", headers=own).json()
            if "avif" in {one["format"] for one in found.get("renditions", [])}:
                return str(found["id"])
        return None

    address = eventually(with_avif, "the photo has AVIF", MAIL_SECONDS, pause_seconds=0.5)
    page.goto(f"{lab.api}/#/photos/{address}")
    picture = page.locator("dialog picture")
    expect(picture.locator("source")).to_have_count(3)
    sources = picture.locator("source").evaluate_all(
        "(all) => all.map(({type, srcset, sizes}) => [type, srcset, sizes])"
    )
    assert [kind for kind, _, _ in sources] == ["image/avif", "image/webp", "image/jpeg"]
    for _, srcset, sizes in sources:
        widths = [entry.rsplit(" ", 1)[1] for entry in srcset.split(", ")]
        assert widths == ["256w", "1024w", "1300w"]
        assert sizes
    image = picture.locator("img")
    assert (image.get_attribute("width"), image.get_attribute("height")) == ("1300", "900")
    # Chromium knows AVIF, so that it loads the first.
    assert ".avif" in image.evaluate("(img) => img.currentSrc")


def test_placeholder_is_seen_until_the_photo_is_there(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_in(page, lab)
    held: list[Route] = []
    opened = False

    def hold(route: Route) -> None:
        """Holds the first pictures, not the upload."""
        if route.request.method == "GET" and not opened:
            held.append(route)
        else:
            route.continue_()

    page.route(f"{lab.endpoint}/**", hold)
    page.locator("input[type=file]").first.set_input_files(photo(tmp_path / "one.jpg", 645))
    blur = page.locator(".tile img.blur")
    expect(blur).to_be_visible()
    # A picture of the ThumbHash, in the document itself.
    assert str(blur.get_attribute("src")).startswith("data:image/png;base64,")
    assert blur.evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0
    coming = page.locator(".tile img.coming")
    expect(coming).to_have_css("opacity", "0")
    eventually(lambda: page.evaluate("1") and len(held), "the photo is asked for")
    assert held[0].request.url == coming.get_attribute("src")
    opened = True
    for route in held:
        route.continue_()
    expect(page.locator(".tile img.shown")).to_have_css("opacity", "1")


def test_original_and_sizes_are_downloaded_under_names_of_their_own(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    path = photo(tmp_path / "harbour at night.jpg", 646, width=1300)
    sign_in(page, lab)
    page.locator("input[type=file]").first.set_input_files(path)
    expect(page.locator(".tile img.shown")).to_have_count(1)
    page.get_by_role("link", name=path.name).click()
    with page.expect_download() as original:
        page.get_by_role("link", name="Download the original").click()
    assert original.value.suggested_filename == path.name
    assert original.value.path().read_bytes() == path.read_bytes()
    with page.expect_download() as size:
        page.get_by_role("link", name="medium · JPEG · 1,024").click()
    assert size.value.suggested_filename == "harbour at night-medium.jpg"
    with Image.open(size.value.path()) as saved:
        assert (saved.format, saved.width) == ("JPEG", 1024)
    expect(page.locator("dialog.photo")).to_be_visible()


def test_print_is_chosen_only_when_the_products_are_known(
    page: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_in(page, lab)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"{lab.api}/products", hold)
    page.locator("input[type=file]").first.set_input_files(photo(tmp_path / "one.jpg", 647))
    page.get_by_role("link", name="one.jpg").click()
    page.get_by_role("link", name="Download the original").wait_for()
    expect(page.get_by_label("Product")).to_have_count(0)
    eventually(lambda: page.evaluate("1") and held, "the products are asked for")
    held[0].continue_()
    expect(page.get_by_label("Product").locator("option").first).to_be_attached()


def press_until(page: Page, control: Locator) -> None:
    """Presses Tab until the control has the focus."""
    for _ in range(TABS_MAX):
        if control.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{TABS_MAX} times Tab do not reach {control}")


def test_customer_orders_by_keyboard_alone(page: Page, lab: LabState, tmp_path: Path) -> None:
    email = sign_in(page, lab)
    page.context.clear_cookies()
    page.reload()
    page.get_by_label("E-mail address").wait_for()

    def enter(control: Locator, key: str = "Enter") -> None:
        press_until(page, control)
        page.keyboard.press(key)

    def fill(label: str, value: str) -> None:
        press_until(page, page.get_by_label(label, exact=True))
        page.keyboard.type(value)

    fill("E-mail address", email)
    fill("Password", PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="choose files").wait_for()
    with page.expect_file_chooser() as chooser:
        enter(page.get_by_role("button", name="choose files"))
    chooser.value.set_files(photo(tmp_path / "one.jpg", 644, width=1300))
    expect(page.locator(".tile img.shown")).to_have_count(1)
    enter(page.get_by_role("link", name="one.jpg"))
    page.get_by_label("Product").wait_for()
    press_until(page, page.get_by_label("Product"))
    page.keyboard.type("Print 10")
    enter(page.get_by_role("button", name="Add to the cart"))
    page.keyboard.press("Escape")
    # The dialog gives the focus back to where it was.
    expect(page.get_by_role("link", name="one.jpg")).to_be_focused()
    enter(page.get_by_role("link", name="Cart"))
    for label, value in ADDRESS.items():
        fill({"Country": "Country (two letters)"}.get(label, label), value)
    enter(page.get_by_role("button", name="Place the order"))
    expect(page.locator(".order h2")).to_contain_text("Shipped")
    expect(page.locator(".order")).to_contain_text("1 × Print 10 x 15 cm")
    assert check(page, "order") == []
