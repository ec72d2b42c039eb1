"""Starts the server of these tests again."""

from __future__ import annotations

from services.local import postgres as servers


def start(server: list[servers.Postgres]) -> None:
    server[0] = servers.start(server[0].folder, server[0].port)
