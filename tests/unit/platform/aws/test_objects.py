"""Objects deleted many at a time."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from services.platform.aws.objects import DELETED_AT_ONCE, delete_objects
from services.platform.errors import TransientError

BUCKET = "a-bucket"


@pytest.fixture
def s3() -> Any:
    return botocore.session.get_session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="nothing"
    )


def wanted(keys: list[str]) -> dict[str, Any]:
    return {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": k} for k in keys], "Quiet": True}}


def test_no_request_is_as_large_as_s3_refuses(s3: Any) -> None:
    keys = [f"{number}.jpg" for number in range(DELETED_AT_ONCE + 1)]
    with Stubber(s3) as answers:
        answers.add_response("delete_objects", {}, wanted(keys[:DELETED_AT_ONCE]))
        answers.add_response("delete_objects", {}, wanted(keys[DELETED_AT_ONCE:]))
        delete_objects(s3, BUCKET, keys)
        answers.assert_no_pending_responses()


def test_without_keys_nothing_is_asked(s3: Any) -> None:
    with Stubber(s3):
        delete_objects(s3, BUCKET, [])


def test_what_s3_keeps_is_told(s3: Any) -> None:
    """Answers as S3 does without permission to delete: 200, with an error for each key."""
    kept = {"Key": "a.jpg", "Code": "AccessDenied", "Message": "not authorized: s3:DeleteObject"}
    with Stubber(s3) as answers:
        answers.add_response("delete_objects", {"Errors": [kept]}, wanted(["a.jpg", "b.jpg"]))
        with pytest.raises(TransientError, match=r"a\.jpg: AccessDenied .*s3:DeleteObject"):
            delete_objects(s3, BUCKET, ["a.jpg", "b.jpg"])
