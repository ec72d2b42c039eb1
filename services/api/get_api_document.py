"""GET /openapi.json: returns the OpenAPI document, generated from the code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from services.platform.functions.access import Access
from services.platform.functions.http import (
    Answer,
    Operation,
    Request,
    Response,
    matches_etag,
)

GET_API_DOCUMENT = Operation(
    summary="Get this OpenAPI document",
    access=Access.ANYONE,
    request_headers={"If-None-Match": "the ETag of an earlier response"},
    answers={
        200: Answer(
            "An OpenAPI 3.1 document", dict, headers={"ETag": "the version, for If-None-Match"}
        ),
        304: Answer("Not modified"),
    },
)


@dataclass(frozen=True)
class GetApiDocument:
    """Returns the document. `content` is its JSON."""

    content: bytes

    @cached_property
    def etag(self) -> str:
        """The entity tag, derived from the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def handle(self, request: Request) -> Response:
        """Returns the document, or 304."""
        headers = {"etag": self.etag, "cache-control": "public, max-age=300"}
        if matches_etag(request, self.etag):
            return Response(304, headers=headers)
        headers |= {
            "content-type": "application/json",
            "content-disposition": 'attachment; filename="openapi.json"',
        }
        return Response(200, self.content, headers)
