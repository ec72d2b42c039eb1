"""The location of a photo in the catalogue: it belongs to the originals that allow it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from services.catalog import originals
from services.catalog.model import METADATA_KEEP_LOCATION, image_id
from services.imaging.isolation import develop
from tests.integration.process_image.support import BLUE, OWNER, Environment

KEEP = {METADATA_KEEP_LOCATION: "true"}
FIRST, SECOND = "ann/1/a.jpg", "ann/2/b.jpg"


def located() -> bytes:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


LOCATED = located()


def latitude(environment: Environment, owner: str = OWNER) -> float | None:
    record = environment.catalog.image(owner, image_id(LOCATED))
    assert record is not None
    location = record.facts.get("location")
    assert (location is not None) <= bool(record.location_keys)
    return None if location is None else float(location["latitude"])


def expected_latitude() -> Any:
    return pytest.approx(48.208333, abs=1e-5)


def test_location_is_stored_only_with_opt_in(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", LOCATED))
    environment.handle(environment.upload("bob/1/a.jpg", LOCATED, **KEEP))
    assert latitude(environment, "ann") is None
    assert latitude(environment, "bob") == expected_latitude()


def test_second_upload_with_the_option_adds_the_location(environment: Environment) -> None:
    environment.handle(environment.upload(FIRST, LOCATED))
    assert latitude(environment) is None
    environment.handle(environment.upload(SECOND, LOCATED, **KEEP))
    assert latitude(environment) == expected_latitude()


def test_second_upload_without_the_option_keeps_the_first_ones_location(
    environment: Environment,
) -> None:
    environment.handle(environment.upload(FIRST, LOCATED, **KEEP))
    environment.handle(environment.upload(SECOND, LOCATED))
    assert latitude(environment) == expected_latitude()


def test_same_original_again_without_the_option_removes_the_location(
    environment: Environment,
) -> None:
    environment.handle(environment.upload(FIRST, LOCATED, **KEEP))
    environment.handle(environment.upload(FIRST, LOCATED))
    assert latitude(environment) is None


def test_original_that_allowed_the_location_deleted_removes_it(environment: Environment) -> None:
    environment.handle(environment.upload(FIRST, LOCATED, **KEEP))
    environment.handle(environment.upload(SECOND, LOCATED))
    environment.handle(environment.delete(FIRST))
    assert latitude(environment) is None


def test_original_that_allowed_the_location_overwritten_removes_it(
    environment: Environment,
) -> None:
    environment.handle(environment.upload(FIRST, LOCATED, **KEEP))
    environment.handle(environment.upload(SECOND, LOCATED))
    environment.handle(environment.upload(FIRST, BLUE))
    assert latitude(environment) is None


def test_photo_without_location_is_developed_once_with_the_option(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    developed = []

    def counted(*arguments: Any) -> Any:
        developed.append(arguments)
        return develop(*arguments)

    monkeypatch.setattr(originals, "develop", counted)
    environment.handle(environment.upload(FIRST, BLUE, **KEEP))
    environment.handle(environment.upload(SECOND, BLUE, **KEEP))
    assert len(developed) == 1


def test_option_given_during_another_development_is_respected(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second upload is handled completely while the first, without the option, is developed."""
    second = environment.upload(SECOND, LOCATED, **KEEP)

    def interleaved(*arguments: Any) -> Any:
        monkeypatch.setattr(originals, "develop", develop)
        environment.handle(second)
        return develop(*arguments)

    monkeypatch.setattr(originals, "develop", interleaved)
    environment.handle(environment.upload(FIRST, LOCATED))
    assert latitude(environment) == expected_latitude()


def test_original_deleted_during_another_development_takes_its_location_along(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the second upload is developed for its location, the option is taken back."""
    environment.handle(environment.upload(FIRST, LOCATED))
    second = environment.upload(SECOND, LOCATED, **KEEP)
    third = "ann/3/c.jpg"

    def interleaved(*arguments: Any) -> Any:
        monkeypatch.setattr(originals, "develop", develop)
        environment.handle(environment.delete(SECOND))
        return develop(*arguments)

    monkeypatch.setattr(originals, "develop", interleaved)
    environment.handle(second)
    assert latitude(environment) is None
    environment.handle(environment.upload(third, LOCATED, **KEEP))
    assert latitude(environment) == expected_latitude()
