"""Which URLs webhooks may have."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from services.webhooks.addresses import (
    AddressPolicy,
    HostUnknownError,
    UrlRefusedError,
)

PUBLIC = "93.184.215.14"


def policy(*addresses: str, loopback: bool = False) -> AddressPolicy:
    """A policy whose every host has `addresses`."""

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return AddressPolicy(loopback, resolve)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "169.254.170.2", "100.64.0.1", "192.0.2.1", "198.18.0.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
        "2001:db8::1", "2001::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
def test_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(UrlRefusedError, match=r"the host example\.com has no public address"):
        policy(address).target("https://example.com/hook?key=secret")
    with pytest.raises(UrlRefusedError):
        policy(PUBLIC, address).target("https://example.com/")


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "[::1]"])
def test_numeric_form_of_loopback_is_refused(host: str) -> None:
    with pytest.raises((UrlRefusedError, HostUnknownError)):
        AddressPolicy().target(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "http://example.com/", "ftp://example.com/", "https:///path",
        "https://user@example.com/", "https://user:word@example.com/", "https://example.com/#part",
        "https://example.com:0/", "https://example.com:99999/", "https://exam ple.com/",
        "https://example.com/\r\nhost: other", "https://ex\u00e4mple.com/", "https://[::1/",
        "https://example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        policy(PUBLIC).target(url)


def test_public_url_is_pinned_to_its_addresses() -> None:
    target = policy("2606:2800:21f::1", PUBLIC, PUBLIC).target("https://Example.com:8443/a?b=c")
    assert target.addresses == (PUBLIC, "2606:2800:21f::1")
    assert (target.path, target.host_header, target.is_tls) == ("/a?b=c", "example.com:8443", True)
    assert "b=c" not in repr(target)
    assert policy(PUBLIC).target("https://example.com").host_header == "example.com"


def test_host_without_address_is_unknown() -> None:
    with pytest.raises(HostUnknownError, match="example"):
        policy().target("https://example.com/")


def test_loopback_is_allowed_by_configuration_only() -> None:
    assert policy("127.0.0.1", loopback=True).target("http://localhost:8080/").port == 8080
    for address in ("10.0.0.1", "169.254.169.254"):
        with pytest.raises(UrlRefusedError):
            policy(address, loopback=True).target("https://example.com/")
    with pytest.raises(UrlRefusedError):  # http to a public address
        policy(PUBLIC, loopback=True).target("http://example.com/")
