"""Downloads originals, in the version that an event or a record names."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.imaging.isolation import develop, start_child
from services.imaging.limits import check_bytes
from services.imaging.model import Developed, Limits, Recipe
from services.platform import tracing
from services.platform.aws.clients import error_code
from services.platform.functions.sqs import Message

# Wall time reserved for storing and announcing after the development.
STORE_RESERVE_SECONDS = 10.0
_SUPERSEDED = frozenset({"NoSuchKey", "404", "NoSuchVersion", "PreconditionFailed", "412"})


@dataclass(frozen=True)
class Original:
    """A downloaded original. `content` is empty for a file over the byte limit; `size` is in bytes;
    `metadata` is the upload's object metadata."""

    content: bytes
    size: int
    metadata: dict[str, str]

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the content, as hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    def develop(self, recipe: Recipe, limits: Limits, message: Message) -> Developed:
        """Develops the original within the time that the message has left. Raises PhotoRejected."""
        check_bytes(self.size, limits)
        seconds = min(limits.seconds_max, message.seconds_left() - STORE_RESERVE_SECONDS)
        limits = dataclasses.replace(limits, seconds_max=max(seconds, 1.0))
        with tracing.span("develop"):
            developed = develop(self.content, recipe, limits, self.sha256)
            for step in developed.steps:
                tracing.add(step.name, step.began, step.ended)
        return developed


def download(s3: Any, bucket: str, key: str, etag: str, bytes_max: int) -> Original | None:
    """The original, or None if its version is not the one with `etag` any more. Reads no content
    over `bytes_max`. An empty `etag` is that of any version."""
    with tracing.span("fetch"):
        return _download(s3, bucket, key, etag, bytes_max)


def _download(s3: Any, bucket: str, key: str, etag: str, bytes_max: int) -> Original | None:
    start_child()  # while S3 answers
    condition = {"IfMatch": etag} if etag else {}
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, **condition)
    except s3.exceptions.ClientError as error:
        if error_code(error) in _SUPERSEDED:
            return None
        raise
    body, size = answer["Body"], answer["ContentLength"]
    with body:
        content = body.read() if size <= bytes_max else b""
    return Original(content, size, answer.get("Metadata", {}))
