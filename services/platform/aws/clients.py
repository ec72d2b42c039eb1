"""AWS clients: made once per execution environment, with timeouts and bounded retries.

They are botocore's own: boto3's session adds nothing to a low-level client and 60 ms of CPU to a
cold start. Making a client calls nothing; endpoint, region and credentials come from the SDK's own
environment variables, so the same code talks to AWS and to an emulator.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from botocore.config import Config

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 15
# Three tries cover a dropped connection; what lasts longer is the queue's to retry, not ours.
ATTEMPTS = 3


@functools.cache
def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """The one client of `service` ("s3", "dynamodb", ...) in this process. `attempts` counts the
    first one: 1 for calls that must not be repeated."""
    return _session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # Links and forms are signed by botocore's oldest method unless told; new regions take
            # the newest only.
            signature_version="s3v4" if service == "s3" else None,
            # Buckets are addressed in the path, so that an emulator's host name needs no wildcard.
            s3={"addressing_style": "path"} if service == "s3" else None,
        ),
    )


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def error_code(error: Exception) -> str:
    """The service's code of a botocore ClientError ("NoSuchKey", "404", ...)."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
