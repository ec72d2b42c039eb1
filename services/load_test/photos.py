"""The photos of a load test: few pictures, many photos, no two of the same content."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.catalog.model import ImageStatus
from services.local.demo.samples.photos import make_sample_photos
from services.local.develop import find_photos

# Those sample photos that must be rejected: every DAMAGED_EVERY-th photo is one of them.
DAMAGED = ("15-bomb.png", "16-broken-off.jpg", "17-letter.jpg")
DAMAGED_EVERY = 25


@dataclass(frozen=True)
class Photo:
    """One photo to upload. `expected` is what must become of it, None if it is unknown."""

    filename: str
    content: bytes
    expected: ImageStatus | None


@dataclass(frozen=True)
class Album:
    """Gives photo number 0, 1, 2, ... The same number is the same photo, in one run."""

    run_id: str
    good: Sequence[Path]
    damaged: Sequence[Path]
    known: bool

    def photo(self, number: int) -> Photo:
        """Raises OSError when the file cannot be read."""
        turn, place = divmod(number, DAMAGED_EVERY)
        if self.damaged and place == DAMAGED_EVERY - 1:
            path, expected = self.damaged[turn % len(self.damaged)], ImageStatus.REJECTED
        else:
            path, expected = self.good[number % len(self.good)], ImageStatus.DEVELOPED
        return Photo(
            filename=f"{path.stem}-{number:06d}{path.suffix}",
            content=make_unique(path.read_bytes(), f"{self.run_id}/{number}"),
            expected=expected if self.known else None,
        )


def make_unique(content: bytes, mark: str) -> bytes:
    """`content` with `mark` behind the picture, where every format ends before the file does and
    phones leave notes of their own: another content, the same picture."""
    return content + b"\x00darkroom load test " + mark.encode()


def album_of(folder: Path, run_id: str) -> Album:
    """The photos of a folder. Raises PermanentError where there are none."""
    return Album(run_id, find_photos([folder]), (), known=False)


def sample_album(cache: Path, run_id: str) -> Album:
    """The sample photos, made once into `cache`: about ten seconds of work."""
    if not cache.is_dir():
        draft = cache.with_name(f"{cache.name}.{run_id}")
        try:
            make_sample_photos(draft)
            draft.rename(cache)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    photos = find_photos([cache])
    return Album(
        run_id,
        good=tuple(p for p in photos if p.name not in DAMAGED),
        damaged=tuple(p for p in photos if p.name in DAMAGED),
        known=True,
    )
