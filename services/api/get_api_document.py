"""Serves the API's description, as it was made from the code when the image was built."""

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
    summary="Get this description of the API",
    access=Access.ANYONE,
    request_headers={"If-None-Match": "the ETag of the answer that you have"},
    answers={
        200: Answer(
            "An OpenAPI 3.1 document", dict, headers={"ETag": "the version, for If-None-Match"}
        ),
        304: Answer("What you have is still right"),
    },
)


@dataclass(frozen=True)
class ApiDocument:
    """The document, whole."""

    content: bytes

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def handle(self, request: Request) -> Response:
        """Answers GET /openapi.json."""
        headers = {"etag": self.etag, "cache-control": "public, max-age=300"}
        if matches_etag(request, self.etag):
            return Response(304, headers=headers)
        return Response(200, self.content, headers | {"content-type": "application/json"})
