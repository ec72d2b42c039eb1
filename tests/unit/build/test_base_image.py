"""The pin of the base image, with an engine and a registry of names and digests."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.build import base_image, engine
from services.build.base_image import Pin, choose_base, read_pin
from services.build.engine import BASE, STANDIN_LABEL, ImageError

REPOSITORY = BASE.rpartition(":")[0]
PLATFORM = "linux/amd64"


class Engine:
    """Images by name; `registry` has the digest that the base's tag names, or cannot be reached."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.registry: str | None = "sha256:1"

    def add(self, name: str, digest: str | None, **labels: str) -> None:
        self.images[name] = {
            "Os": "linux",
            "Architecture": "amd64",
            "RepoDigests": [f"{REPOSITORY}@{digest}"] if digest else [],
            "Config": {"Labels": labels},
        }

    def docker(self, command: str, *arguments: str) -> str:
        assert command == "pull"
        if self.registry is None:
            raise ImageError("no such host")
        name = arguments[-1]
        digest = name.rpartition("@")[2] if "@" in name else self.registry
        self.add(name, digest)
        self.add(f"{REPOSITORY}@{digest}", digest)
        return ""


@pytest.fixture
def docker_engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    for module in (engine, base_image):
        monkeypatch.setattr(module, "docker", made.docker)
        monkeypatch.setattr(module, "inspect", made.images.get)
    return made


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    return tmp_path / "base-image.json"


def choose(pins: Path, *, refresh: bool = False, base: str = BASE) -> str:
    return choose_base(base, PLATFORM, refresh=refresh, pins=pins)[0]


def test_first_build_pins_the_digest_of_the_tag(docker_engine: Engine, pins: Path) -> None:
    assert choose(pins) == f"{REPOSITORY}@sha256:1"
    pin = read_pin(pins)
    assert pin is not None
    assert (pin.tag, pin.digest) == (BASE, "sha256:1")


def test_later_builds_use_the_pin_until_a_refresh(docker_engine: Engine, pins: Path) -> None:
    choose(pins)
    docker_engine.registry = "sha256:2"
    docker_engine.images.clear()
    assert choose(pins) == f"{REPOSITORY}@sha256:1"
    assert choose(pins, refresh=True) == f"{REPOSITORY}@sha256:2"
    assert choose(pins) == f"{REPOSITORY}@sha256:2"


def test_standin_is_taken_as_it_is(docker_engine: Engine, pins: Path) -> None:
    docker_engine.add(BASE, None, **{STANDIN_LABEL: "1"})
    assert choose(pins) == BASE
    assert not pins.exists()


def test_base_chosen_by_the_caller_is_not_pinned(docker_engine: Engine, pins: Path) -> None:
    docker_engine.add("mine:1", None)
    assert choose(pins, base="mine:1") == "mine:1"
    assert not pins.exists()


def test_refresh_without_registry_keeps_the_pin(docker_engine: Engine, pins: Path) -> None:
    choose(pins)
    docker_engine.registry = None
    with pytest.raises(ImageError, match="cannot be asked"):
        choose(pins, refresh=True)
    assert choose(pins) == f"{REPOSITORY}@sha256:1"


def test_old_pin_is_warned_about(
    docker_engine: Engine, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(base_image, "warn", warnings.append)
    choose(pins)
    pin = read_pin(pins)
    assert isinstance(pin, Pin)
    assert warnings == []
    later = date.fromisoformat(pin.pinned) + timedelta(days=31)
    monkeypatch.setattr(base_image, "_today", lambda: later)
    choose(pins)
    assert "31 days ago" in warnings[0]


def test_file_that_is_no_pin_is_refused(pins: Path) -> None:
    pins.write_text("[]")
    with pytest.raises(ImageError, match="delete it"):
        read_pin(pins)
