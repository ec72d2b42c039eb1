"""S3 objects, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.platform.errors import TransientError

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
DELETED_AT_ONCE: Final = 1_000
_SHOWN: Final = 3


def delete_objects(s3: Any, bucket: str, keys: Sequence[str]) -> None:
    """Deletes objects, in the order of `keys`; one that is not there is deleted.

    Raises TransientError where S3 keeps some: it answers 200 all the same, and tells of each why,
    be it a right that is missing.
    """
    for start in range(0, len(keys), DELETED_AT_ONCE):
        chunk = [{"Key": key} for key in keys[start : start + DELETED_AT_ONCE]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": chunk, "Quiet": True})
        if errors := answer.get("Errors"):
            told = "; ".join(
                f"{e.get('Key')}: {e.get('Code')} ({e.get('Message')})" for e in errors[:_SHOWN]
            )
            raise TransientError(
                f"expected {len(chunk)} objects to go from {bucket}, S3 kept {len(errors)}: {told}"
            )
