"""The cookies in which the web page's tokens are, for the function that sets them and for the
server of the page, which turns them into request headers."""

from __future__ import annotations

from dataclasses import dataclass

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


@dataclass(frozen=True)
class TokenCookie:
    """A cookie with a token, and the request header (in lower case) that has the token after
    `scheme`.

    Browsers take a name that begins with `__Host-` only with Secure and Path=/:
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie
    """

    name: str
    header: str
    scheme: str = ""

    def set(self, token: str, seconds: int) -> str:
        """The value of Set-Cookie for a token, which the browser stores for `seconds`."""
        return f"{self.name}={token}; Max-Age={seconds}; {_ATTRIBUTES}"

    def removed(self) -> str:
        """The value of Set-Cookie that removes the cookie."""
        return self.set("", 0)


SESSION = TokenCookie("__Host-session", "authorization", "Bearer ")
DEVICE = TokenCookie("__Host-device", "device-token")
