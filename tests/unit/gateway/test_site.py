"""The web page's files, its policy, and the session cookie."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.gateway import site
from services.gateway.site import Site, with_tokens
from services.platform.token_cookies import DEVICE, SESSION

STORAGE = "http://127.0.0.1:4566"


def scope(path: str = "/", method: str = "GET", **headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }


def answer(application: Site, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(application(request, receive, send))
    headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


@pytest.fixture
def page(tmp_path: Path) -> Site:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<p>page")
    (tmp_path / "assets" / "a-1234.js").write_text("1")

    async def api(request: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": request["headers"]})
        await send({"type": "http.response.body", "body": b"api"})

    return Site(api, site.load(tmp_path, (STORAGE,)))  # type: ignore[arg-type]


def test_site_page_has_strict_policy_and_is_revalidated(page: Site) -> None:
    status, headers, body = answer(page, scope("/"))
    assert (status, body) == (200, b"<p>page")
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "'unsafe" not in policy
    assert f"connect-src 'self' {STORAGE};" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"] == "camera=(), geolocation=(), microphone=()"
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"


def test_site_page_with_known_etag_is_not_sent_again(page: Site) -> None:
    etag = answer(page, scope("/"))[1]["etag"]
    status, headers, body = answer(page, scope("/", if_none_match=etag))
    assert (status, body) == (304, b"")
    assert "content-length" not in headers


def test_site_hashed_file_is_cached_for_a_year(page: Site) -> None:
    status, headers, _ = answer(page, scope("/assets/a-1234.js"))
    assert status == 200
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "method"),
    [("/images", "GET"), ("/", "POST"), ("/../secret", "GET"), ("/index.html", "GET")],
)
def test_site_other_requests_reach_the_api(page: Site, path: str, method: str) -> None:
    assert answer(page, scope(path, method))[0] == 404


def tokens(**headers: str) -> tuple[str | None, str | None]:
    """The session's and the device's header of a request to the API."""
    found = dict(with_tokens(scope("/images", **headers))["headers"])
    session, device = (found.get(cookie.header.encode()) for cookie in (SESSION, DEVICE))
    return session.decode() if session else None, device.decode() if device else None


COOKIES = f"theme=dark; {SESSION.name}=token-1; {DEVICE.name}=token-2"


def test_cookies_of_the_own_page_are_headers() -> None:
    assert tokens(cookie=COOKIES, sec_fetch_site="same-origin") == ("Bearer token-1", "token-2")
    alone = f"{DEVICE.name}=token-2"
    assert tokens(cookie=alone, sec_fetch_site="same-origin") == (None, "token-2")


@pytest.mark.parametrize("sent_by", ["cross-site", "same-site", "none", None])
def test_cookies_of_another_page_are_ignored(sent_by: str | None) -> None:
    headers = {"sec_fetch_site": sent_by} if sent_by is not None else {}
    assert tokens(cookie=COOKIES, **headers) == (None, None)


def test_cookies_do_not_replace_headers() -> None:
    headers = {"authorization": "Bearer other", "device_token": "own"}
    sent = tokens(cookie=COOKIES, sec_fetch_site="same-origin", **headers)
    assert sent == ("Bearer other", "own")


@pytest.mark.parametrize("cookie", ["", "=", f"{SESSION.name}=", "a", f"x{SESSION.name}=t"])
def test_session_cookie_that_is_missing_or_malformed_is_none(cookie: str) -> None:
    assert tokens(cookie=cookie, sec_fetch_site="same-origin") == (None, None)


def test_payment_page_is_served_only_with_a_key_and_alone_allows_stripe(tmp_path: Path) -> None:
    for name in ("index.html", "pay.html"):
        (tmp_path / name).write_text("<p>")
    (tmp_path / "config.json").write_text("{}")
    assert set(site.load(tmp_path, ())) == {"/", "/config.json"}
    files = site.load(tmp_path, (), "pk_test_1")
    policies = {
        path: dict(file.headers).get(b"content-security-policy", b"")
        for path, file in files.items()
    }
    assert [path for path, policy in policies.items() if b"stripe" in policy] == ["/pay"]
    assert b"'unsafe" not in policies["/pay"]
    assert json.loads(files["/config.json"].body)["stripe_publishable_key"] == "pk_test_1"


@pytest.mark.parametrize("events", [False, True])
def test_configuration_says_whether_there_is_an_event_stream(tmp_path: Path, events: bool) -> None:
    (tmp_path / "config.json").write_text('{"payment_methods": [{"id": "a", "name": "A"}]}')
    (file,) = site.load(tmp_path, (), events=events).values()
    assert json.loads(file.body) == {
        "payment_methods": [{"id": "a", "name": "A"}], "events": events,
    }  # fmt: skip


def test_load_of_missing_folder_serves_no_file(tmp_path: Path) -> None:
    assert site.load(tmp_path / "missing", ()) == {}
