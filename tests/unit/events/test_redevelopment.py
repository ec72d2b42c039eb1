"""The message that asks process-image to develop an image again."""

from __future__ import annotations

import json

import pytest

from services.events.redevelopment import RedevelopmentRequest, parse_redevelopment
from services.platform.errors import PermanentError

REQUEST = RedevelopmentRequest("originals", "ann", "0" * 32, "ann/1/a.jpg")


def test_request_is_read_as_it_was_written() -> None:
    assert parse_redevelopment(REQUEST.encode()) == REQUEST


@pytest.mark.parametrize("document", [{"Records": []}, {"Event": "s3:TestEvent"}])
def test_other_message_is_no_request(document: dict[str, object]) -> None:
    assert parse_redevelopment(json.dumps(document)) is None


@pytest.mark.parametrize("wanted", [None, [], {}, {"owner": "ann"}, {"owner": 1}])
def test_incomplete_request_is_refused(wanted: object) -> None:
    with pytest.raises(PermanentError, match="expected the texts bucket, owner, image_id"):
        parse_redevelopment(json.dumps({"redevelop": wanted}))
