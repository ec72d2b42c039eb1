"""AWS clients for an emulator, made like boto3's session makes them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from services.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

CONNECT_TIMEOUT_SECONDS = 5
# An emulator that needs longer is not well, and whoever asks should be told, not slowed down.
READ_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class LocalSession:
    """Clients for the emulator at `endpoint`. Safe to share between threads.

    `attempts` is how often a call is tried in all, `connections` how many may be open at once.
    """

    endpoint: str
    attempts: int = 3
    connections: int = 20

    def client(self, service: str) -> Any:
        return _client(self, service)


@functools.cache
def _client(session: LocalSession, service: str) -> Any:
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION,
    ).client(
        service,
        endpoint_url=session.endpoint,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": session.attempts},
            max_pool_connections=session.connections,
            s3={"addressing_style": "path"},
        ),
    )
