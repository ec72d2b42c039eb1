"""Ports for a lab's processes, and the emulator's health check."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from services.local import emulator
from services.local.emulator import LOOPBACK, PORTS, free_port, healthy

# https://docs.kernel.org/networking/ip-sysctl.html, ip_local_port_range
DEFAULT_CONNECTION_PORTS = range(32_768, 61_000)


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A listening socket."""
    with socket.create_server((LOOPBACK, free_port())) as listening:
        yield listening


def test_free_port_is_none_that_a_connection_gets() -> None:
    assert free_port() in PORTS
    assert PORTS.stop <= DEFAULT_CONNECTION_PORTS.start


def test_free_port_is_not_in_use(taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    used, free = taken.getsockname()[1], free_port()
    monkeypatch.setattr(emulator, "PORTS_TRIED", 2)
    monkeypatch.setattr(emulator, "PORTS", (used, free))
    assert {free_port() for _ in range(20)} == {free}


def test_free_port_without_one_is_an_error(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "PORTS_TRIED", 1)
    monkeypatch.setattr(emulator, "PORTS", (taken.getsockname()[1],))
    with pytest.raises(OSError, match="in use"):
        free_port()


def test_another_program_at_the_port_is_no_healthy_emulator(taken: socket.socket) -> None:
    def greet() -> None:
        connection, _ = taken.accept()
        with connection:
            connection.sendall(b"220 localhost SMTP\r\n")

    thread = threading.Thread(target=greet)
    thread.start()
    assert not healthy(f"http://{LOOPBACK}:{taken.getsockname()[1]}")
    thread.join()
