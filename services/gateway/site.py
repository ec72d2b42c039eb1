"""The web page beside the API, on the same origin, as CloudFront serves both on AWS.

A page cannot keep a token safe from a script, so the tokens of session and device are in cookies
that no script reads. They count only in requests that the page's own origin made: the browser says
so in `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), which no page can set.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from services.gateway.application import Application, Receive, Send
from services.platform import token_cookies

INDEX = "index.html"
# The page with Stripe's form, and what the pages know of the deployment.
PAYMENT = "pay.html"
CONFIGURATION = "config.json"
_PAGE = ".html"
# Files in this folder have a hash of their content in their name.
HASHED_FOLDER = "assets/"
_YEAR = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


@dataclass(frozen=True)
class File:
    """A file of the page, with its headers."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes


class Site:
    """An ASGI application: the page's files, and the API for every other path."""

    def __init__(self, api: Application, files: Mapping[str, File]) -> None:
        self._api = api
        self._files = files

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        file = self._files.get(scope["path"])
        if file is None or scope["method"] not in ("GET", "HEAD"):
            await self._api(with_tokens(scope), receive, send)
            return
        known = any(k == b"if-none-match" and v == file.etag for k, v in scope["headers"])
        headers = [*file.headers, (b"etag", file.etag)]
        if not known:
            headers.append((b"content-length", str(len(file.body)).encode()))
        await send(
            {"type": "http.response.start", "status": 304 if known else 200, "headers": headers}
        )
        # The server itself leaves the body of an answer to HEAD away.
        await send({"type": "http.response.body", "body": b"" if known else file.body})


def load(
    folder: Path,
    origins: tuple[str, ...],
    stripe_publishable_key: str | None = None,
    *,
    events: bool = False,
) -> dict[str, File]:
    """The files in `folder` by URL path; pages may exchange data with `origins`, where photos are
    stored, besides their own. Only with Stripe's publishable key is there a payment page, which
    loads Stripe's script. `events`: whether the API has an event stream. Raises OSError or
    ValueError.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or (name == PAYMENT and stripe_publishable_key is None):
            continue
        body = path.read_bytes()
        if name == CONFIGURATION:
            known = {**json.loads(body), "events": events}
            if stripe_publishable_key is not None:
                known |= {"payment_methods": [], "stripe_publishable_key": stripe_publishable_key}
            body = json.dumps(known).encode()
        files[_url_path(name)] = _file(body, name, origins)
    return files


def _url_path(name: str) -> str:
    """`index.html` is the root, and other pages have addresses without `.html`."""
    return "/" if name == INDEX else f"/{name.removesuffix(_PAGE)}"


def _file(body: bytes, name: str, origins: tuple[str, ...]) -> File:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    headers = {
        "content-type": media_type,
        "cache-control": _YEAR if name.startswith(HASHED_FOLDER) else _REVALIDATE,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    if name.endswith(_PAGE):
        headers |= {
            "content-security-policy": (
                payment_policy() if name == PAYMENT else content_security_policy(origins)
            ),
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }
    return File(
        body,
        tuple((key.encode(), value.encode()) for key, value in headers.items()),
        b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"',
    )


def content_security_policy(origins: tuple[str, ...]) -> str:
    """The page's policy: no inline code, nothing from elsewhere but photos from `origins`."""
    storage = " ".join(origins)
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' data: blob: {storage}",
        "connect-src": f"'self' {storage}",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return _policy(directives)


def payment_policy() -> str:
    """The policy of the payment page, the only one that loads anything of Stripe's.

    Trusted Types are not required there, because Stripe's script does not promise to use them.
    Source: https://docs.stripe.com/security/guide#content-security-policy
    """
    return _policy(
        {
            "default-src": "'none'",
            "script-src": "'self' https://js.stripe.com https://*.js.stripe.com",
            "style-src": "'self'",
            "img-src": "'self' https://*.stripe.com",
            "connect-src": "'self' https://api.stripe.com",
            "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
    )


def _policy(directives: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value.strip()}" for name, value in directives.items())


def with_tokens(scope: Any) -> Any:
    """`scope` with the tokens of its cookies as headers, if the page sent it. Headers that it has
    stay."""
    headers = scope["headers"]
    names = {name: value for name, value in headers if name != b"cookie"}
    if names.get(b"sec-fetch-site") != b"same-origin":
        return scope
    cookies = _cookies(b"; ".join(value for name, value in headers if name == b"cookie"))
    added = [
        (cookie.header.encode(), f"{cookie.scheme}{cookies[cookie.name]}".encode())
        for cookie in (token_cookies.SESSION, token_cookies.DEVICE)
        if cookie.header.encode() not in names and cookies.get(cookie.name)
    ]
    return {**scope, "headers": [*headers, *added]}


def _cookies(header: bytes) -> dict[str, str]:
    """The cookies' values by their names; none for a malformed header."""
    try:
        found = SimpleCookie(header.decode("ascii"))
    except (CookieError, UnicodeDecodeError):
        return {}
    return {name: morsel.value for name, morsel in found.items() if morsel.value.isascii()}
