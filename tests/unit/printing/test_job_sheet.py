"""Job sheets: content, page breaks, bar codes and thumbnails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pypdfium2 as pdfium
import pytest
import zxingcpp
from PIL import Image

from services.printing.job_sheet import JobLine, JobSheet, make_job_sheet
from tests.support import photos
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[3]
NUMBER = "DR-2026-000123"
LINE = JobLine(
    thumbnail=photos.jpeg(photos.scene(256, 171)),
    product="Photo print",
    width_mm=100,
    height_mm=150,
    paper="Lustre 260 g",
    quantity=2,
    file_name="IMG_2044.jpg",
    dpi=312.4,
)


def sheet(*lines: JobLine, number: str = NUMBER, customer: str = "Zoe Miller") -> JobSheet:
    return JobSheet(number, date(2026, 11, 24), customer, lines or (LINE,))


def pages(pdf: bytes) -> list[bytes]:
    """The content stream of each page of an uncompressed file."""
    assert pdf.startswith(b"%PDF-")
    found = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    contents = [content for content in found if b" Tm " in content]
    assert len(contents) == len(re.findall(rb"/Type /Page\b", pdf))
    return contents


def texts(page: bytes) -> list[str]:
    shown = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", page)
    return [re.sub(rb"\\([()\\])", rb"\1", text).decode("latin-1") for text in shown]


def uncompressed(job: JobSheet, *fonts: Path) -> list[bytes]:
    return pages(make_job_sheet(job, fonts, compress=False))


def test_job_sheet_shows_every_field() -> None:
    warned = replace(LINE, quantity=3, dpi=118.2, warning="Only 118.2 pixels an inch.")
    large = replace(LINE, width_mm=300, height_mm=400, paper="Matt 230 g", quantity=1)
    (page,) = uncompressed(sheet(LINE, warned, large))
    found = texts(page)
    for expected in (
        "Job sheet", NUMBER, "2026-11-24", "Zoe Miller", "Photo print", "10 x 15 cm, Lustre 260 g",
        "IMG_2044.jpg", "312 pixels an inch", "118 pixels an inch",
        "Warning: Only 118.2 pixels an inch.", "line 3", "30 x 40 cm, Matt 230 g",
        "6 prints on 3 lines", "1 of 1",
    ):  # fmt: skip
        assert expected in found, expected
    # The quantity of each line, then the sum of each product.
    quantities = [text for text in found if re.fullmatch(r"\d+ \S+", text)]
    assert [int(text.split()[0]) for text in quantities] == [2, 3, 1, 5, 1]


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 12, 13, 14, 40, 200])
def test_job_sheet_many_lines_span_pages(count: int) -> None:
    lines = [replace(LINE, file_name=f"photo-{i}.jpg") for i in range(count)]
    found = [texts(page) for page in uncompressed(sheet(*lines))]
    for i, page in enumerate(found):
        assert f"{i + 1} of {len(found)}" in page
        assert NUMBER in page
    names = [text for page in found for text in page if text.startswith("photo-")]
    assert names == [line.file_name for line in lines]
    assert count / 7 <= len(found) <= count / 6 + 1
    # The totals are on the last page, together with their lines.
    assert f"{2 * count} prints on {count} line{'s' * (count > 1)}" in found[-1]
    assert "10 x 15 cm, Lustre 260 g" in found[-1]


def test_job_sheet_stays_within_the_margins() -> None:
    lines = [
        replace(LINE, product="W" * 300, paper="W" * 300, file_name="W" * 300, warning="W " * 400)
    ] * 9
    for page in uncompressed(sheet(*lines, customer="W" * 500)):
        places = re.findall(rb"1 0 0 1 ([\d.]+) ([\d.]+) Tm", page)
        assert places
        for x, y in places:
            assert 42 <= float(x) <= 553
            assert 30 <= float(y) <= 800


def test_job_sheet_repeated_thumbnail_is_embedded_once() -> None:
    other = photos.jpeg(photos.scene(171, 256, seed=3))
    pdf = make_job_sheet(sheet(LINE, LINE, replace(LINE, thumbnail=other)), compress=False)
    assert pdf.count(b"/Subtype /Image") == 2


@pytest.mark.parametrize(
    "thumbnail",
    [
        None, b"", b"no picture", photos.saved(photos.scene(), "PNG"),
        photos.jpeg(photos.scene(256, 171))[:2000],
    ],
    ids=["none", "empty", "text", "png", "cut off"],
)  # fmt: skip
def test_job_sheet_unreadable_thumbnail_is_an_empty_frame(thumbnail: bytes | None) -> None:
    pdf = make_job_sheet(sheet(replace(LINE, thumbnail=thumbnail)), compress=False)
    assert b"/Subtype /Image" not in pdf
    assert "no picture" in texts(pages(pdf)[0])


@pytest.mark.parametrize("image", [photos.scene().convert("L"), photos.scene().convert("CMYK")])
def test_job_sheet_accepts_grey_and_cmyk_thumbnails(image: object) -> None:
    source = photos.jpeg(image)  # type: ignore[arg-type]
    assert b"/Subtype /Image" in make_job_sheet(sheet(replace(LINE, thumbnail=source)))


def test_job_sheet_is_deterministic() -> None:
    job = sheet(LINE, replace(LINE, file_name="Ünïcödé 写真.jpg"), customer="Иван Łukasz")
    script = (
        "import sys, hashlib; from tests.unit.printing.test_job_sheet import *;"
        "job = sheet(LINE, replace(LINE, file_name='Ünïcödé 写真.jpg'), customer='Иван Łukasz');"
        "make_job_sheet(sheet()); print(hashlib.sha256(make_job_sheet(job)).hexdigest())"
    )
    hashes = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment, cwd=ROOT, capture_output=True, text=True, check=True,
            timeout=scaled(60),
        )  # fmt: skip
        hashes.add(done.stdout)
    assert len(hashes) == 1
    assert make_job_sheet(job) == make_job_sheet(job)


@pytest.mark.parametrize("number", ["", " DR-1", "DR\n1", "Ö-1", "x" * 41])
def test_job_sheet_number_without_bar_code_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="expected an order number"):
        sheet(number=number)


def test_job_sheet_without_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one line"):
        JobSheet(NUMBER, date(2026, 11, 24), "Zoe Miller", ())
    with pytest.raises(ValueError, match="expected a quantity of at least 1"):
        replace(LINE, quantity=0)


# --- codes ----------------------------------------------------------------------------------------

Bar = tuple[float, float, float, float]


def bars(page: bytes, wanted: Callable[[Bar], bool]) -> list[Bar]:
    """The filled rectangles of a page: left, bottom, width, height. A matrix sets the origin
    of each code."""
    found: list[Bar] = []
    for matrix in re.finditer(rb"q\n1 0 0 1 ([\d.]+) ([\d.]+) cm(.*?)\nQ", page, re.DOTALL):
        dx, dy = float(matrix[1]), float(matrix[2])
        for x, y, w, h in re.findall(rb"([-\d.]+) ([-\d.]+) ([\d.]+) ([\d.]+) re f", matrix[3]):
            found.append((float(x) + dx, float(y) + dy, float(w), float(h)))
    return [bar for bar in found if wanted(bar)]


@pytest.mark.parametrize("number", ["1", NUMBER, "x" * 40])
def test_bar_code_is_a_valid_code_128(number: str) -> None:
    (page,) = uncompressed(sheet(number=number))
    found = sorted(bars(page, lambda bar: bar[3] > 25))
    module = min(width for _, _, width, _ in found)
    assert module >= 0.19 / 25.4 * 72
    widths: list[int] = []
    for bar, after in zip(found, [*found[1:], None], strict=True):
        widths.append(round(bar[2] / module))
        if after:
            widths.append(round((after[0] - bar[0] - bar[2]) / module))
    # ISO/IEC 15417: symbols of 3 bars and 3 spaces over 11 modules, and the stop pattern.
    assert widths[-7:] == [2, 3, 3, 1, 1, 1, 2]
    symbols = [widths[i : i + 6] for i in range(0, len(widths) - 7, 6)]
    assert all(sum(symbol) == 11 for symbol in symbols)
    assert symbols[0] in ([2, 1, 1, 4, 1, 2], [2, 1, 1, 2, 1, 4], [2, 1, 1, 2, 3, 2])
    assert found[-1][0] < 553 - 36 / 25.4 * 72  # beside the QR code


@pytest.mark.parametrize("number", ["1", NUMBER, "x" * 40])
def test_qr_code_has_three_finders_on_every_page(number: str) -> None:
    for page in uncompressed(sheet(*[LINE] * 14, number=number)):
        found = bars(page, lambda bar: bar[3] < 25 and bar[0] > 400)
        module = min(width for _, _, width, _ in found)
        left, top = min(b[0] for b in found), max(b[1] + b[3] for b in found)
        edge = round((max(b[0] + b[2] for b in found) - left) / module)
        assert (edge - 17) % 4 == 0  # ISO/IEC 18004: 21, 25, 29 ... modules
        assert module > 0.4 / 25.4 * 72
        dark = {
            (round((x - left) / module) + i, round((top - y - h) / module))
            for x, y, w, h in found
            for i in range(round(w / module))
        }
        for at_x, at_y in ((0, 0), (edge - 7, 0), (0, edge - 7)):
            ring = {(at_x + i, at_y) for i in range(7)} | {(at_x, at_y + i) for i in range(7)}
            assert ring <= dark


@contextmanager
def rendered(pdf: bytes) -> Iterator[list[pdfium.PdfPage]]:
    """The pages rendered by PDFium, the engine of Chromium."""
    with closing(pdfium.PdfDocument(pdf)) as document:
        yield list(document)


@pytest.mark.parametrize("dpi", [150, 200, 300])
@pytest.mark.parametrize("number", ["1", NUMBER, "x" * 40, "a!b~c d"])
def test_bar_code_and_qr_code_are_decoded(number: str, dpi: int) -> None:
    """From the rendered page, at the resolution of a cheap scanner."""
    with rendered(make_job_sheet(sheet(*[LINE] * 8, number=number))) as found:
        first, second = (
            {
                (code.format, code.text)
                for code in zxingcpp.read_barcodes(page.render(scale=dpi / 72).to_pil())
            }
            for page in found
        )
    qr, bars = (zxingcpp.BarcodeFormat.QRCode, number), (zxingcpp.BarcodeFormat.Code128, number)
    assert first == {qr, bars}
    assert second == {qr}


def test_text_can_be_extracted() -> None:
    customer = "Zoë Müller-Łuk, 山田太郎, 김철수"
    with rendered(make_job_sheet(sheet(*[LINE] * 8, customer=customer))) as found:
        texts = [page.get_textpage().get_text_bounded() for page in found]
    assert len(texts) == 2
    for page, expected in (
        (0, NUMBER), (0, customer), (0, "1 of 2"),
        (1, NUMBER), (1, customer), (1, "2 of 2"), (1, "16 prints on 8 lines"),
    ):  # fmt: skip
        assert expected in texts[page], expected


def test_thumbnails_are_drawn_beside_their_lines() -> None:
    """Red, green and blue thumbnails, from top to bottom."""
    colours = [(220, 0, 0), (0, 180, 0), (0, 0, 220)]
    lines = [
        replace(LINE, thumbnail=photos.jpeg(Image.new("RGB", (120, 80), colour)))
        for colour in colours
    ]
    with rendered(make_job_sheet(sheet(*lines))) as (page,):
        picture = page.render(scale=1).to_pil().convert("RGB")
    middles = []
    for colour in colours:
        near = [
            y
            for y in range(picture.height)
            for x in range(0, picture.width, 4)
            if max(abs(a - b) for a, b in zip(picture.getpixel((x, y)), colour, strict=True)) < 12
        ]
        assert near, f"{colour} is not on the page"
        middles.append(sum(near) / len(near))
    assert middles == sorted(middles)
