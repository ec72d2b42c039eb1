"""A lab and a browser: Debian's Chromium, or the one that BROWSER names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from services.local import lab as labs
from services.local.options import LabOptions
from services.local.state import LabState
from tests.support.waiting import STEP_SECONDS, scaled

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Root may not use Chromium's sandbox; without network it must not look for updates.
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str | None:
    """The path of the browser, if there is one."""
    return os.environ.get("BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


def limit_ms() -> float:
    """The limit of one step. Playwright does not measure again when it ends, as `eventually` does,
    so there is room for a machine that becomes busy."""
    return scaled(3 * STEP_SECONDS) * 1000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        message = "no Chromium on this machine: install it, or name one in BROWSER"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=limit_ms())
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield opened
        opened.close()


@dataclass(frozen=True)
class Site:
    """A site of others, which the lab lets in: what is in `folder` is served at `origin`."""

    folder: Path
    origin: str


@pytest.fixture(scope="session")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Site(folder, f"http://localhost:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, other_site: Site) -> Iterator[LabState]:
    root: Path = tmp_path_factory.mktemp("browser-lab")
    state = labs.up(root, options=LabOptions(concurrency=2, sites=(other_site.origin,)))
    yield state
    labs.down(root)


@pytest.fixture
def page(browser: Browser, lab: LabState) -> Iterator[Page]:
    """A new visitor's page, in English."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1200, "height": 850})
    context.set_default_timeout(limit_ms())
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security" in message.text else None,
    )
    opened.goto(f"{lab.api}/")
    yield opened
    context.close()
    assert errors == []
