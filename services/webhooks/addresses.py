"""Which addresses webhooks may be sent to: public ones only.

Customers choose the URLs, so a call must not reach what only this side can reach: the metadata
service, the loopback interface, private networks.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from services.platform.errors import PermanentError

URL_CHARACTERS_MAX = 2000
_PORTS = {"https": 443, "http": 80}
# IPv4 addresses inside IPv6 ones: https://www.rfc-editor.org/rfc/rfc6052
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[..., list[tuple[Any, ...]]]


class UrlRefusedError(PermanentError):
    """The URL has a form that is not allowed, or leads to an address that is not public."""


class HostUnknownError(PermanentError):
    """The host's name has no address at present."""


@dataclass(frozen=True)
class Target:
    """A checked URL. `addresses` are those that its host resolved to, IPv4 first; connections are
    made to them, so that a later change of the name has no effect."""

    is_tls: bool
    host: str
    port: int
    path: str = field(repr=False)
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """The value of the header Host."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = _PORTS["https" if self.is_tls else "http"]
        return name if self.port == usual else f"{name}:{self.port}"


@dataclass(frozen=True)
class AddressPolicy:
    """Checks URLs. `loopback` also allows loopback addresses, and `http` to them, for a lab on one
    machine."""

    loopback: bool = False
    resolve: Resolve = socket.getaddrinfo

    def target(self, url: str) -> Target:
        """The target of a URL. Raises UrlRefusedError and HostUnknownError; their messages contain
        the host and no other part of the URL."""
        is_tls, host, port, path = self._parts(url)
        try:
            found = self.resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise HostUnknownError(f"the host {host} was not found") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses:
            raise HostUnknownError(f"the host {host} was not found")
        for address in addresses:
            self._check(host, address, is_tls)
        addresses.sort(key=lambda address: ":" in address)
        return Target(is_tls, host, port, path, tuple(addresses))

    def _parts(self, url: str) -> tuple[bool, str, int, str]:
        if (
            len(url) > URL_CHARACTERS_MAX
            or not url.isascii()
            or not url.isprintable()
            or " " in url
        ):
            raise UrlRefusedError(
                f"the URL must have at most {URL_CHARACTERS_MAX} printable ASCII characters"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UrlRefusedError("the URL must be https://HOST/PATH") from None
        schemes = ("https", "http") if self.loopback else ("https",)
        if parts.scheme not in schemes or not host or port == 0:
            raise UrlRefusedError("the URL must be https://HOST/PATH")
        if parts.username is not None or parts.fragment:
            raise UrlRefusedError("the URL must have no user name and no fragment")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return parts.scheme == "https", host, port or _PORTS[parts.scheme], path

    def _check(self, host: str, text: str, is_tls: bool) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        if self.loopback and address.is_loopback:
            return
        if not is_tls or not is_public(address):
            raise UrlRefusedError(f"the host {host} has no public address")


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the public internet; so must be an IPv4 address inside it."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
