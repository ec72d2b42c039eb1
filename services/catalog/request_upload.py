"""POST /uploads: presigns a form for the upload of one photo to S3."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from services.catalog.api import STORAGE_FULL, UploadForm, UploadRequest
from services.catalog.model import (
    METADATA_CORRELATION_ID,
    METADATA_KEEP_LOCATION,
    METADATA_NOTIFY,
    METADATA_NOTIFY_NAME,
    METADATA_ON_WEBSITE,
    METADATA_RECIPE,
    METADATA_SINGLE_USE,
    OriginalName,
)
from services.catalog.store import Catalog
from services.catalog.stored_bytes import stored_bytes
from services.platform import log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.timestamps import format_epoch
from services.platform.usage import DailyBytes, DailyLimit
from services.platform.validation import FieldError, shown

_META = "x-amz-meta-"
# The registered media types of other names in use.
_REGISTERED = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True)
class StorageLimit:
    """Allows an owner to keep `bytes_max` bytes of originals."""

    catalog: Catalog
    bytes_max: int

    def left(self, owner: str) -> int:
        """The bytes that the owner may still upload. Raises HttpProblem 413 when there are none.

        Forms that were issued before may exceed the limit, by the size that they allow.
        """
        used = stored_bytes(self.catalog, owner)
        if used >= self.bytes_max:
            raise HttpProblem(
                STORAGE_FULL,
                f"Your photos use {used:,} of {self.bytes_max:,} bytes. Delete photos first.",
                members={"used_bytes": used, "limit_bytes": self.bytes_max},
            )
        return self.bytes_max - used


@dataclass(frozen=True)
class RequestUpload:
    """Presigns upload forms, valid for `minutes` minutes and files of 1 to `bytes_max` bytes.
    `recipes` are the names that an upload may choose."""

    s3: Any
    bucket: str
    bytes_max: int
    minutes: int
    recipes: tuple[str, ...]
    limit: DailyLimit
    storage: StorageLimit
    traffic: DailyBytes

    def handle(self, request: Request) -> Response:
        """Returns a form. Raises HttpProblem 400 for a filename that S3 or a path would change, and
        for an unknown recipe, 413 when the account may store no more bytes, 429 when the uploads
        of a day, or their bytes, are used up."""
        upload: UploadRequest = request.body
        _check_filename(upload.filename)
        self._check_recipe(upload.recipe)
        caller = request.caller
        bytes_max = min(self.bytes_max, self.storage.left(caller.user_id))
        if upload.bytes is not None:
            bytes_max = min(bytes_max, upload.bytes)
        self.limit.take(caller.user_id, request.source_ip)
        # Last: what an account may no longer do uses up nothing of its network.
        self.traffic.take(request.source_ip, bytes_max)
        upload_id = uuid.uuid4().hex
        log.correlate(upload_id, origin=True)
        # Owner, recipient and name are signed into the form, so that the client cannot change them.
        content_type = _REGISTERED.get(upload.content_type, upload.content_type)
        fields = {
            "Content-Type": content_type,
            _META + METADATA_NOTIFY: caller.email,
            _META + METADATA_CORRELATION_ID: upload_id,
            _META + METADATA_SINGLE_USE: "true",
        }
        if caller.name:
            # Object metadata is ASCII, 2 KB at most.
            fields[_META + METADATA_NOTIFY_NAME] = quote(caller.name[:_NAME_CHARACTERS_MAX])
        # Browsers send the origin of their page; other clients have no page to link to.
        if "origin" in request.headers:
            fields[_META + METADATA_ON_WEBSITE] = "true"
        if upload.keep_location:
            fields[_META + METADATA_KEEP_LOCATION] = "true"
        if upload.recipe is not None:
            fields[_META + METADATA_RECIPE] = upload.recipe
        expires_at = time.time() + self.minutes * 60
        form = self.s3.generate_presigned_post(
            Bucket=self.bucket,
            Key=OriginalName(caller.user_id, upload_id, upload.filename).key,
            Fields=dict(fields),
            Conditions=[
                ["content-length-range", 1, bytes_max],
                *({name: value} for name, value in fields.items()),
            ],
            ExpiresIn=self.minutes * 60,
        )
        return Response(
            201,
            UploadForm(
                id=upload_id,
                url=form["url"],
                fields=form["fields"],
                bytes_max=bytes_max,
                expires_at=format_epoch(expires_at),
            ),
        )

    def _check_recipe(self, name: str | None) -> None:
        if name is not None and name not in self.recipes:
            expected = "one of " + ", ".join(self.recipes)
            raise _invalid("recipe", expected, shown(name))


def _check_filename(filename: str) -> None:
    """Raises HttpProblem for names with a meaning in a path, and for S3's `${filename}`."""
    if filename in (".", "..") or "${" in filename:
        expected = "a filename other than `.` and `..`, without `${`"
        raise _invalid("filename", expected, repr(filename))


def _invalid(field: str, expected: str, got: str) -> HttpProblem:
    return HttpProblem(
        INVALID_REQUEST,
        "The request has invalid fields; see `errors`.",
        [FieldError(field, expected, got)],
    )
