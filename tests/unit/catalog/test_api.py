"""The API's description of photos says what the code of photos has."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from services.build.openapi import DOCUMENT
from services.catalog.model import FAILED_REPEATEDLY
from services.imaging.model import Facts, Location, RejectionReason, TimeSource

SCHEMAS = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]


def names(model: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(model)}


def test_reasons_are_those_of_rejections() -> None:
    for schema in ("ImageSummary", "Image"):
        (reason,) = (
            one for one in SCHEMAS[schema]["properties"]["reason"]["anyOf"] if "enum" in one
        )
        assert set(reason["enum"]) == {*map(str, RejectionReason), FAILED_REPEATEDLY}


def test_facts_are_those_of_imaging_without_the_fields_of_the_image() -> None:
    facts = SCHEMAS["Image"]["properties"]["facts"]["properties"]
    assert set(facts) == names(Facts) - {"width", "height"}
    assert set(facts["location"]["properties"]) == names(Location)
    assert set(facts["taken_at_source"]["enum"]) == set(TimeSource)
