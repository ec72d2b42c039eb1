"""The page in German, in a real browser on an embedded lab: no text is left in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.accounts.model import Role
from services.build.web import WEB
from services.local.state import LabState
from tests.browser.visitors import open_order, sign_in, upload
from tests.support.photos import ASCII, RATIONAL, SHORT, exif, jpeg, scene

CATALOGUES = (
    "text.ts", "console/text.ts", "problems.ts", "photos/rejection.ts", "orders/findings.ts"
)  # fmt: skip
_ENTRY = re.compile(r'^  (?:"([\w-]+)"|(\w+)): "(.*)",$', re.MULTILINE)
# Words that no German text has.
_WORDS = re.compile(
    r"\b(the|and|your|you|with|not|please|have|has|is|are|been|from|to|by|this|that|uploaded?|"
    r"photos?|prints?|order|deleted?|size|taken|camera|failed|rejected|succeeds|declined)\b",
    re.IGNORECASE,
)
# Names of functions, of files and of hosts.
_NAMES = re.compile(r"\w+([-.]\w+)+")
# All texts and labels, but for log events and messages, which are for programs.
_TEXTS = """
    () => {
      const skipped = 'script, style, pre, code, .events, .waterfall, .letters .problem, td small';
      const found = [];
      for (const one of document.body.querySelectorAll('*')) {
        if (one.closest(skipped)) continue;
        for (const name of ['aria-label', 'alt', 'title', 'placeholder']) {
          found.push(one.getAttribute(name));
        }
        for (const node of one.childNodes) {
          if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
        }
      }
      return found.filter((text) => text && text.trim());
    }
"""


def english() -> set[str]:
    """The English texts of the page that are others in German."""
    found = set()
    for name in CATALOGUES:
        source = (WEB / "src" / name).read_text(encoding="utf-8")
        first, second = re.findall(r"^const (?:en|de)\b.*?^\}", source, re.MULTILINE | re.DOTALL)
        texts, german = (
            {a or b: text for a, b, text in _ENTRY.findall(x)} for x in (first, second)
        )
        assert texts.keys() == german.keys(), name
        found |= {text for key, text in texts.items() if text != german[key]}
    return found


ENGLISH = english()


def left_in_english(page: Page) -> list[str]:
    texts: list[str] = page.evaluate(_TEXTS)
    assert texts
    return [
        text
        for text in texts
        if text.strip() in ENGLISH or _WORDS.search(_NAMES.sub("", text)) is not None
    ]


@pytest.fixture
def german(browser: Browser, lab: LabState) -> Iterator[Page]:
    """The page of a new visitor whose browser is in German."""
    context = browser.new_context(locale="de-DE", timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(f"{lab.api}/")
    yield page
    context.close()


def test_english_page_is_found(page: Page) -> None:
    """Otherwise the other tests could not fail."""
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert {"Sign in", "Forgotten your password?"} <= set(left_in_english(page))


def test_sign_in_and_its_errors_are_german(german: Page) -> None:
    found = left_in_english(german)
    german.get_by_label("E-Mail-Adresse").fill("niemand@darkroom.example")
    german.get_by_label("Passwort").fill("falsches Passwort 7")
    german.get_by_role("button", name="Anmelden").click()
    expect(german.get_by_role("alert")).to_have_text("E-Mail-Adresse oder Passwort ist falsch.")
    for name in ("Passwort vergessen?", "Anmelden", "Konto anlegen"):
        german.get_by_role("button", name=name).last.click()
        found += left_in_english(german)
    german.get_by_label("E-Mail-Adresse").fill("a@b.c")
    german.get_by_role("button", name="Konto anlegen").click()
    expect(german.get_by_role("alert")).to_have_text(
        "Bitte prüfen Sie Ihre Eingaben. E-Mail-Adresse."
    )
    assert found == []


def test_every_page_is_german(german: Page, lab: LabState, tmp_path: Path) -> None:
    sign_in(german, lab, Role.ADMINISTRATOR)
    found = left_in_english(german)
    details = exif(
        [(0x010F, ASCII, b"Acme\0"), (0x0110, ASCII, b"Eins\0")],
        [
            (0x829A, RATIONAL, [(1, 250)]),
            (0x829D, RATIONAL, [(28, 10)]),
            (0x8827, SHORT, [1600]),
            (0x9003, ASCII, b"2026:08:09 18:30:00\0"),
        ],
    )
    photo, broken = tmp_path / "hafen.jpg", tmp_path / "leer.jpg"
    photo.write_bytes(jpeg(scene(1300, 900, seed=630), exif=details))
    broken.write_bytes(b"kein Foto")
    upload(german, [photo, broken])
    expect(german.locator(".tile.rejected")).to_contain_text("Die Datei ist kein Foto")
    expect(german.locator(".tile img.shown")).to_have_count(1)
    found += left_in_english(german)
    german.get_by_role("link", name="leer.jpg").click()
    expect(german.locator("dialog .problem")).to_contain_text("Wählen Sie ein Foto")
    found += left_in_english(german)
    german.get_by_role("button", name="Schließen").click()
    german.get_by_role("link", name="hafen.jpg").click()
    facts = german.locator("dl")
    for line in ("Aufgenommen09.08.2026, 18:30", "Belichtung1/250 s", "Blendef/2,8", "Pixel1.300"):
        expect(facts).to_contain_text(line)
    german.get_by_label("Produkt").select_option(label="Abzug 10 × 15 cm, 0,39 €")
    german.get_by_role("button", name="In den Warenkorb").click()
    found += left_in_english(german)
    german.get_by_role("button", name="Schließen").click()
    german.get_by_role("link", name="Warenkorb").click()
    found += left_in_english(german)
    address = {"Name": "Ada", "Straße": "Allee 1", "Postleitzahl": "20457", "Ort": "Ulm"}
    for label, value in {**address, "Land": "DE"}.items():
        german.get_by_label(label).first.fill(value)
    german.get_by_label("Zahlung").select_option(label="Testzahlung: wird abgelehnt")
    german.get_by_role("button", name="Bestellen").click()
    expect(german.locator(".order h2")).to_contain_text("Zahlung abgelehnt")
    expect(german.locator(".order")).to_contain_text("Bestellen Sie mit einer anderen")
    found += left_in_english(german)
    german.get_by_role("link", name="Konto").click()
    expect(german.get_by_text("diese", exact=True)).to_be_visible()
    found += left_in_english(german)
    german.get_by_role("link", name="Leitstand").click()
    for part in ("Zustand", "Tote Nachrichten", "Verlauf", "Bestellungen", "Bestand", "Kosten"):
        parts = german.get_by_role("navigation", name="Leitstand")
        parts.get_by_role("link", name=part).click()
        german.wait_for_load_state("networkidle")
        expect(german.get_by_text("Lädt …")).to_have_count(0)
        found += left_in_english(german)
    assert found == []


def test_refused_order_says_in_german_which_line_and_why(
    german: Page, lab: LabState, tmp_path: Path
) -> None:
    sign_in(german, lab)
    path = tmp_path / "hafen.jpg"
    path.write_bytes(jpeg(scene(650, 450, seed=631)))
    upload(german, [path])
    expect(german.locator(".tile img.shown")).to_have_count(1)
    open_order(german, lab, "sandbox-ok", "print-10x15-glossy", "poster-30x40-matte")
    expect(german.locator(".order h2")).to_contain_text("Abgelehnt")
    # 650 pixels on 40 cm and two times 3 mm of bleed.
    expect(german.locator(".history")).to_contain_text(
        "Position 2, Poster 30 × 40 cm: Das Foto hat auf diesem Abzug 37,3 dpi, nötig sind "
        "mindestens 100. Wählen Sie einen Abzug von höchstens"
    )
    expect(german.locator(".history")).not_to_contain_text("Position 1")
    assert left_in_english(german) == []
