"""The committed build of the web page."""

import re

from services.build import web


def test_build_is_of_the_current_sources() -> None:
    assert web.NOTE.read_text(encoding="ascii").strip() == web.digest(), "run `make web`"


def test_build_names_no_other_host_and_has_no_inline_code() -> None:
    page = (web.WEB / "dist" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|https?://", page)
    assert re.findall(r'src="(/assets/[^"]+\.js)"', page)


def test_first_load_is_at_most_90_kb_compressed() -> None:
    import gzip

    files = [
        path for path in (web.WEB / "dist").rglob("*") if path.suffix in (".html", ".js", ".css")
    ]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= 90_000
