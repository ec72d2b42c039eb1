"""The API's documentation page, in a real browser on an embedded lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.build.openapi import DOCUMENT
from services.local.state import LabState
from tests.browser.visitors import check, sign_in
from tests.support.photos import jpeg, scene


@pytest.fixture
def docs(page: Page, lab: LabState) -> Page:
    """The documentation, opened by a customer who has signed in."""
    sign_in(page, lab)
    page.goto(f"{lab.api}/docs")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Darkroom API")
    return page


def test_docs_show_every_operation(docs: Page) -> None:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    operations = [
        one["operationId"] for item in document["paths"].values() for one in item.values()
    ]
    for name in operations:
        assert docs.locator(f"article[id='{name}']").count() == 1, name


def test_docs_examples_run_with_the_session_of_the_page_and_upload_a_photo(
    docs: Page, tmp_path: Path
) -> None:
    session = docs.locator("#get-session")
    session.get_by_text("Fields, answers").click()
    session.get_by_role("button", name="Send GET /sessions/current").click()
    expect(session.get_by_role("status")).to_contain_text('"role": "customer"')
    form = docs.locator("#request-upload")
    form.get_by_text("Fields, answers").click()
    form.get_by_label("Body").fill('{"filename": "a.jpg", "content_type": "image/jpeg"}')
    form.get_by_role("button", name="Send POST /uploads").click()
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(scene(420, 300, seed=710)))
    form.get_by_label("Upload a file").set_input_files([path])
    expect(form.get_by_text("Uploaded.")).to_be_visible()


def test_docs_have_no_serious_accessibility_problem(docs: Page) -> None:
    docs.locator("#create-order").get_by_text("Fields, answers").click()
    expect(docs.locator("#create-order").get_by_role("button")).to_be_visible()
    assert check(docs, "docs") == []
