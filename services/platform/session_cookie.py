"""The cookie in which the web page's session is, for the function that sets it and for the server
of the page, which reads it."""

from __future__ import annotations

# Browsers take a name with this prefix only with Secure and Path=/:
# https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie
NAME = "__Host-session"
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


def set_cookie(token: str, seconds: int) -> str:
    """The value of Set-Cookie for a session's token, which the browser stores for `seconds`."""
    return f"{NAME}={token}; Max-Age={seconds}; {_ATTRIBUTES}"


def removed_cookie() -> str:
    """The value of Set-Cookie that removes the cookie."""
    return set_cookie("", 0)
