"""The committed build of the web page."""

import gzip
import re

import pytest

from services.build import web

PAGES = ("index.html", "docs.html")


def test_build_is_of_the_current_sources() -> None:
    assert web.NOTE.read_text(encoding="ascii").strip() == web.digest(), "run `make web`"


def test_build_names_no_other_host_and_has_no_inline_code() -> None:
    for name in PAGES:
        page = (web.WEB / "dist" / name).read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|https?://", page)
        assert re.findall(r'src="(/assets/[^"]+\.js)"', page)


@pytest.mark.parametrize("name", PAGES)
def test_first_load_is_at_most_90_kb_compressed(name: str) -> None:
    page = web.WEB / "dist" / name
    named = re.findall(r'(?:src|href)="/([^"]+)"', page.read_text(encoding="utf-8"))
    files = [page, *(web.WEB / "dist" / path for path in named)]
    assert len(files) > 3
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= 90_000
