"""AWS clients for an emulator, made like boto3's session makes them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from services.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class LocalSession:
    """Clients for the emulator at `endpoint`. Safe to share between threads."""

    endpoint: str

    def client(self, service: str) -> Any:
        return _client(self.endpoint, service)


@functools.cache
def _client(endpoint: str, service: str) -> Any:
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION,
    ).client(
        service,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=20,
            s3={"addressing_style": "path"},
        ),
    )
