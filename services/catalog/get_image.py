"""GET /images/{id}: one of a customer's own images."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from services.catalog.api import ImageParameters, image_not_found
from services.catalog.model import ImageRecord
from services.catalog.presentation import ImagePresenter
from services.catalog.store import Catalog
from services.platform.functions.http import Request, Response, matches_etag

# The ETag changes at least this often, so that a client that always sends If-None-Match gets new
# links before its old ones expire (presentation.LINK_SECONDS).
LINKS_RENEWED_SECONDS = 1800


@dataclass(frozen=True)
class GetImage:
    """Describes one image, with links to its renditions."""

    catalog: Catalog
    presenter: ImagePresenter

    def handle(self, request: Request) -> Response:
        """Returns the image, or 304. Raises HttpProblem 404, also for other customers' images."""
        parameters: ImageParameters = request.parameters
        record = self.catalog.image(request.caller.user_id, parameters.id)
        if record is None or not record.visible:
            raise image_not_found(parameters.id)
        etag = _etag(record, time.time())
        # The browser may store the response, but must revalidate it.
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if matches_etag(request, etag):
            return Response(304, headers=headers)
        return Response(200, self.presenter.image(record), headers)


def _etag(record: ImageRecord, now: float) -> str:
    """A weak tag: it does not depend on the signatures of the links, but changes every
    LINKS_RENEWED_SECONDS."""
    state = (
        record.status.value,
        record.recipe,
        record.reason,
        sorted(record.source_keys),
        record.listed_at,
        [rendition.key for rendition in record.renditions],
        int(now // LINKS_RENEWED_SECONDS),
    )
    return f'W/"{hashlib.sha256(repr(state).encode()).hexdigest()[:20]}"'
