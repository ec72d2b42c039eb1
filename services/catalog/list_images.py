"""GET /images: lists a customer's own images."""

from __future__ import annotations

from dataclasses import dataclass

from services.catalog.api import ImagePage, ListParameters
from services.catalog.presentation import ImagePresenter
from services.catalog.store import Catalog, Position
from services.platform import cursor
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListImages:
    """Lists images, newest first, or those of one upload."""

    catalog: Catalog
    presenter: ImagePresenter

    def handle(self, request: Request) -> Response:
        """Returns one page. Raises HttpProblem 400 for a cursor of another list."""
        parameters: ListParameters = request.parameters
        owner = request.caller.user_id
        if parameters.upload is not None:
            page = cursor.Page(self.catalog.of_upload(owner, parameters.upload), None)
        else:
            before = None
            if parameters.cursor is not None:
                before = Position(*cursor.decode(parameters.cursor, 2))
            page = cursor.page(
                self.catalog.newest(owner, parameters.limit + 1, before),
                parameters.limit,
                lambda record: cursor.encode([record.listed_at, record.image_id]),
            )
        return Response(
            200,
            ImagePage(
                images=[*map(self.presenter.summary, page.items)], next_cursor=page.next_cursor
            ),
        )
