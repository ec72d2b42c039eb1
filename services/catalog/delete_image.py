"""DELETE /images/{id}: deletes one of a customer's own images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.catalog.api import ImageParameters, image_not_found
from services.catalog.model import ImageStatus
from services.catalog.store import Catalog
from services.platform.aws.objects import delete_objects
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class DeleteImage:
    """Hides the image and deletes its originals; process-image deletes renditions and record when
    it handles the events of their removal."""

    catalog: Catalog
    s3: Any
    originals_bucket: str

    def handle(self, request: Request) -> Response:
        """Deletes the image. Safe to repeat: continues an interrupted deletion. Raises HttpProblem
        404, also for other customers' images."""
        parameters: ImageParameters = request.parameters
        record = self.catalog.hide(request.caller.user_id, parameters.id)
        if record is None or record.status is ImageStatus.DELETING:
            raise image_not_found(parameters.id)
        delete_objects(self.s3, self.originals_bucket, sorted(record.source_keys))
        return Response(204)
