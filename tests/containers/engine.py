"""The Docker engine of the tests: connection, containers, and clean-up of what a run leaves."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network, ip_network
from typing import Any, TypeVar

import pytest
from docker.client import DockerClient
from docker.errors import DockerException, NotFound
from testcontainers.core.container import DockerContainer

OWNER_LABEL = "dev.darkroom.test"  # its value: host name and process id of the test run
HOST = socket.gethostname()
Value = TypeVar("Value")


class NoEngineError(Exception):
    """The Docker engine is not reachable."""


class Engine:
    """The Docker engine, and the containers and networks of this test run."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        self.labels = {OWNER_LABEL: f"{HOST} {os.getpid()}"}

    @classmethod
    def connect(cls) -> Engine:
        try:
            client = DockerClient.from_env()
            client.ping()
        except DockerException as error:
            raise NoEngineError(str(error)) from error
        return cls(client)

    @classmethod
    def required(cls) -> Engine:
        """As `connect`, but skips the test without an engine, or fails it in CI."""
        try:
            return cls.connect()
        except NoEngineError as error:
            message = f"no Docker engine is reachable ({error}): start one, or run .ci/engine"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)

    @property
    def gateway_address(self) -> str:
        """The engine's host address for containers on the default bridge."""
        return bridge_address(self.client.networks.get("bridge").attrs)

    def remove_own(self) -> None:
        """Removes the containers and networks that this run has not removed."""
        self._remove(lambda owner: owner == self.labels[OWNER_LABEL])

    def remove_abandoned(self) -> None:
        """Removes the containers and networks of ended runs on this host."""

        def abandoned(owner: str) -> bool:
            host, _, process = owner.rpartition(" ")
            return host == HOST and not _alive(int(process))

        self._remove(abandoned)

    def _remove(self, chosen: Callable[[str], bool]) -> None:
        filters = {"label": OWNER_LABEL}
        for container in self.client.containers.list(all=True, filters=filters):
            if chosen(container.labels[OWNER_LABEL]):
                container.remove(force=True, v=True)
        for network in self.client.networks.list(filters=filters):
            if chosen(network.attrs["Labels"][OWNER_LABEL]):
                network.remove()


def bridge_address(network: Mapping[str, Any]) -> str:
    """The IPv4 address that the engine's machine has on a bridge network.

    `network` is what `docker network inspect` prints. An engine that has just created its default
    bridge lists no `Gateway` until it is restarted; the bridge then has the first host address of
    the subnet. Raises LookupError when the network has no IPv4 subnet.
    """
    for config in network["IPAM"]["Config"] or ():
        subnet = ip_network(config["Subnet"], strict=False)
        if isinstance(subnet, IPv4Network):
            return str(config.get("Gateway") or next(subnet.hosts()))
    raise LookupError(
        f"network {network['Name']!r} has no IPv4 subnet: expected one in {network['IPAM']}"
    )


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def fetch(url: str, body: bytes | None = None, timeout_seconds: float = 60) -> bytes:
    """The body of a GET, or of a POST of `body`. Raises OSError, of which HTTPError is one."""
    request = urllib.request.Request(url, body)
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
        return bytes(answer.read())


def answers(url: str) -> bool:
    try:
        fetch(url, timeout_seconds=2)
    except OSError:
        return False
    return True


@contextmanager
def running(container: DockerContainer) -> Iterator[DockerContainer]:
    """Runs the container for the duration of the `with` block."""
    container.start()
    try:
        yield container
    finally:
        with suppress(NotFound):
            container.get_wrapped_container().remove(force=True, v=True)
