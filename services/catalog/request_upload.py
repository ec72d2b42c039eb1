"""Lets a customer upload a photo straight to S3, by a form that is good for that photo only."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.catalog.api import UploadForm, UploadRequest
from services.catalog.model import METADATA_KEEP_LOCATION, METADATA_NOTIFY, OriginalName
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError

_META = "x-amz-meta-"


@dataclass(frozen=True)
class Uploads:
    """Signs upload forms. They live for `minutes`, and take files of 1 to `bytes_max` bytes."""

    s3: Any
    bucket: str
    bytes_max: int
    minutes: int

    def handle(self, request: Request) -> Response:
        """Answers POST /uploads."""
        wanted: UploadRequest = request.body
        _refuse_special(wanted.filename)
        caller = request.caller
        upload_id = uuid.uuid4().hex
        # Signed into the form: whose photo it is, and whom to tell, is not the client's to say.
        fields = {"Content-Type": wanted.content_type, _META + METADATA_NOTIFY: caller.email}
        if wanted.keep_location:
            fields[_META + METADATA_KEEP_LOCATION] = "true"
        expires_at = datetime.now(UTC) + timedelta(minutes=self.minutes)
        form = self.s3.generate_presigned_post(
            Bucket=self.bucket,
            Key=OriginalName(caller.user_id, upload_id, wanted.filename).key,
            Fields=dict(fields),
            Conditions=[
                ["content-length-range", 1, self.bytes_max],
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
                bytes_max=self.bytes_max,
                expires_at=expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            ),
        )


def _refuse_special(filename: str) -> None:
    """Names that mean something else in a path, or that S3 would fill in (`${filename}`)."""
    if filename in (".", "..") or "${" in filename:
        raise HttpProblem(
            INVALID_REQUEST,
            "The file needs another name.",
            [FieldError("filename", "a file's name without `${`", repr(filename))],
        )
