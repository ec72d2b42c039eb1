"""AWS clients for an emulator, made like boto3's session makes them."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from services.local.emulator import DEFAULT_CREDENTIALS, REGION, Credentials

CONNECT_TIMEOUT_SECONDS = 5
# A slower answer is an outage: the caller gets an error instead of a delay.
READ_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class LocalSession:
    """Clients for the emulator at `endpoint`. Safe to share between threads.

    `attempts` counts all tries of a call; `connections` is the most that are open at once.
    """

    endpoint: str
    attempts: int = 3
    connections: int = 20
    credentials: Credentials = DEFAULT_CREDENTIALS

    def client(self, service: str) -> Any:
        return _client(self, service)


# Clients may be shared between threads, but not made by several of one session at once.
_making = threading.Lock()


@functools.cache
def _client(session: LocalSession, service: str) -> Any:
    with _making:
        return _session(session.credentials).client(
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


@functools.cache
def _session(credentials: Credentials) -> boto3.session.Session:
    """One for all clients: each parses botocore's list of endpoints, 8 MiB in memory."""
    return boto3.session.Session(
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        region_name=REGION,
    )
