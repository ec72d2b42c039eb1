"""The store of renditions, on a bucket that answers when all uploads have arrived."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.catalog.renditions import UPLOADS_AT_ONCE, RenditionStore
from services.imaging.model import OutputFormat, Rendition
from services.platform import deadline
from tests.support.waiting import STEP_SECONDS, scaled

RENDITIONS = [
    Rendition(f"size{n}", OutputFormat.JPEG, 10 + n, 10, bytes([n]), animated=False)
    for n in range(UPLOADS_AT_ONCE)
]


@dataclass
class Bucket:
    """Answers uploads when `together` of them wait; refuses the key that ends with `refused`."""

    together: int = UPLOADS_AT_ONCE
    refused: str = "none"
    stored: dict[str, bytes] = field(default_factory=dict)
    seconds_left: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._gate = threading.Barrier(self.together)

    def put_object(self, **upload: Any) -> None:
        self._gate.wait(scaled(STEP_SECONDS))
        self.seconds_left.append(deadline.seconds_left())
        if upload["Key"].endswith(self.refused):
            raise ValueError(upload["Key"])
        self.stored[upload["Key"]] = upload["Body"]


def test_store_uploads_at_once_and_keeps_the_order() -> None:
    bucket = Bucket()
    with deadline.invocation(60_000):
        stored = RenditionStore(bucket, "renditions").store("ann", "1", reversed(RENDITIONS))
    assert [(one.name, one.width, one.bytes) for one in stored] == [
        (one.name, one.width, 1) for one in reversed(RENDITIONS)
    ]
    assert {bucket.stored[one.key] for one in stored} == {one.data for one in RENDITIONS}
    assert all(seconds < 60 for seconds in bucket.seconds_left)


def test_store_with_one_refused_raises_when_the_others_ended() -> None:
    bucket = Bucket(refused="size2.jpg")
    with pytest.raises(ValueError, match=r"size2\.jpg"):
        RenditionStore(bucket, "renditions").store("ann", "1", RENDITIONS)
    assert len(bucket.stored) == UPLOADS_AT_ONCE - 1


def test_store_leaves_no_thread() -> None:
    """The decoder is forked, and a fork has one thread only."""
    RenditionStore(Bucket(together=1), "renditions").store("ann", "1", RENDITIONS)
    assert not [one for one in threading.enumerate() if one.name.startswith("store")]
