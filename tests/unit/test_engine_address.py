"""The host address of the Docker engine, from the description of its default bridge."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.containers.engine import Engine


def engine(*config: dict[str, str]) -> Engine:
    """An engine whose default bridge has these address ranges."""
    attrs: dict[str, Any] = {"Name": "bridge", "IPAM": {"Config": list(config)}}
    bridge = SimpleNamespace(attrs=attrs)
    client = SimpleNamespace(networks=SimpleNamespace(get=lambda _name: bridge))
    return Engine(cast(Any, client))


def test_gateway_address_with_gateway_is_the_gateway() -> None:
    described = engine({"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"})
    assert described.gateway_address == "172.17.0.9"


def test_gateway_address_without_gateway_is_first_host_of_subnet() -> None:
    assert engine({"Subnet": "172.17.0.0/16"}).gateway_address == "172.17.0.1"
    assert engine({"Subnet": "10.200.0.1/24"}).gateway_address == "10.200.0.1"


def test_gateway_address_with_ipv6_first_is_the_ipv4_address() -> None:
    described = engine({"Subnet": "fd00:1::/64"}, {"Subnet": "172.17.0.0/16"})
    assert described.gateway_address == "172.17.0.1"


def test_gateway_address_without_ipv4_subnet_names_the_network() -> None:
    with pytest.raises(LookupError, match="bridge"):
        _ = engine({"Subnet": "fd00:1::/64"}).gateway_address
