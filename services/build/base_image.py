"""Pins the base image by digest, so that all builds of a commit stand on the same base.

The pin is in `docker/base-image.json`. The first build writes it; `--refresh` asks the registry for
the image that the tag names today, which has the newest patches, and writes it again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from services.build.engine import (
    BASE,
    STANDIN_LABEL,
    ImageError,
    console,
    docker,
    inspect,
    require_base,
    warn,
)

# AWS publishes patched base images every few weeks:
# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
STALE_DAYS = 30


@dataclass(frozen=True)
class Pin:
    """A tag, the digest that it named, and the day (UTC) on which the registry was asked."""

    tag: str
    digest: str
    pinned: str

    @property
    def reference(self) -> str:
        return f"{_repository(self.tag)}@{self.digest}"

    def age_days(self, today: date) -> int:
        return (today - date.fromisoformat(self.pinned)).days


def read_pin(path: Path) -> Pin | None:
    """The pin in the file; None without the file. Raises ImageError for a file that is no pin."""
    try:
        return Pin(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ImageError(
            f"{path} is not a pin (tag, digest, pinned): {error}; delete it to pin again"
        ) from None


def choose_base(base: str, wanted: str, *, refresh: bool, pins: Path) -> tuple[str, dict[str, Any]]:
    """The name of the base to build on, and the image as the engine describes it.

    The project's base is taken by its pinned digest. A base that the caller chose, and a stand-in,
    are taken as they are. Raises ImageError as `require_base` does, and when a refresh fails.
    """
    if base != BASE:
        return base, require_base(base, wanted)
    local = inspect(base)
    if local is not None and _is_standin(local) and not refresh:
        return base, require_base(base, wanted)
    pin = read_pin(pins)
    if pin is None or pin.tag != base or refresh:
        pin = _pin(base, wanted, local, refresh=refresh)
        if pin is None:
            warn(f"{base} has no digest in any registry: built on what the engine has")
            return base, require_base(base, wanted)
        pins.write_text(json.dumps(asdict(pin), indent=2) + "\n")
        console.print(f"pinned {pin.reference} in {pins.name}: commit it")
    elif (age := pin.age_days(_today())) > STALE_DAYS:
        warn(f"the base image was pinned {age} days ago: make images REFRESH=1 takes its patches")
    return pin.reference, require_base(pin.reference, wanted)


def _pin(base: str, wanted: str, local: dict[str, Any] | None, *, refresh: bool) -> Pin | None:
    """The digest that the tag names in its registry. Without `refresh`, an image that is already
    here is taken. None for a local image that came from no registry."""
    found = local
    if found is None or refresh:
        console.print(f"pulling {base} ...")
        try:
            docker("pull", "--quiet", "--platform", wanted, base)
        except ImageError as error:
            if refresh:
                raise ImageError(f"the registry of {base} cannot be asked: {error}") from None
            require_base(base, wanted)  # raises with advice
        found = inspect(base)
    prefix = f"{_repository(base)}@"
    digests = [d for d in (found or {}).get("RepoDigests") or [] if d.startswith(prefix)]
    if not digests:
        return None
    return Pin(base, digests[-1].removeprefix(prefix), _today().isoformat())


def _repository(tag: str) -> str:
    return tag.rpartition(":")[0]


def _is_standin(image: dict[str, Any]) -> bool:
    return STANDIN_LABEL in (image["Config"].get("Labels") or {})


def _today() -> date:
    return datetime.now(UTC).date()
