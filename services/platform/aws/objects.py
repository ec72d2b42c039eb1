"""S3 objects, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from services.platform.errors import TransientError

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
DELETED_AT_ONCE: Final = 1_000
_SHOWN: Final = 3


def delete_objects(s3: Any, bucket: str, keys: Sequence[str]) -> None:
    """Deletes objects, in the order of `keys`. An object that does not exist counts as deleted.

    Raises TransientError if S3 did not delete some. S3 answers 200 even then and gives a reason for
    each object, such as a missing permission.
    """
    for start in range(0, len(keys), DELETED_AT_ONCE):
        _delete(s3, bucket, [{"Key": key} for key in keys[start : start + DELETED_AT_ONCE]])


def delete_everything(
    s3: Any, bucket: str, prefix: str, check: Callable[[], None], *, markers_stay: bool = False
) -> None:
    """Deletes all versions and delete markers of the objects below `prefix`, in a bucket with or
    without versions. Calls `check` before each page. Raises TransientError as `delete_objects`.

    With `markers_stay`, each object gets a delete marker first, and the markers stay: S3 replicates
    markers to another region, but not deletions of versions.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
    """
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        check()
        versions = page.get("Versions", ())
        if markers_stay:
            delete_objects(s3, bucket, [v["Key"] for v in versions if v["IsLatest"]])
        found = [*versions, *(() if markers_stay else page.get("DeleteMarkers", ()))]
        if found:
            _delete(s3, bucket, [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found])


def _delete(s3: Any, bucket: str, objects: list[dict[str, str]]) -> None:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    if errors := answer.get("Errors"):
        reasons = "; ".join(
            f"{e.get('Key')}: {e.get('Code')} ({e.get('Message')})" for e in errors[:_SHOWN]
        )
        raise TransientError(
            f"S3 did not delete {len(errors)} of {len(objects)} objects in {bucket}: {reasons}"
        )
