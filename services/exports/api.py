"""The operations of data exports: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.accounts.api import Time
from services.exports.store import DataExport
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.timestamps import format_utc
from services.platform.usage import USAGE_EXCEEDED

LINK_SECONDS = 300
ROUTE = "/users/me/export"

EXPORT_NOT_FOUND = Problem(404, "export-not-found", "No export")


class Export(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An export of your data. `url` downloads it as JSON, for five minutes; it is null until the
    export is ready. The export itself expires at `expires_at`."""

    status: Annotated[
        str,
        Meta(
            description="preparing, or ready to download",
            extra_json_schema={"enum": ["preparing", "ready"]},
        ),
    ]
    requested_at: Time
    expires_at: Time | None
    bytes: int | None
    url: str | None


REQUEST_EXPORT = Operation(
    name="request-export",
    summary="Ask for an export of your data",
    access=Access.CUSTOMER,
    answers={202: Answer("The export, which is prepared in the background", Export)},
    problems=(USAGE_EXCEEDED,),
    description="The export is one JSON document: account, settings, sessions, known devices, API "
    "keys, webhooks, orders with their history, and photos with everything that is known about "
    "them and links to every original and rendition. It is ready within minutes: see "
    "`GET /users/me/export`. It expires an hour after it was made; until then, this returns the "
    "same one. An e-mail says that an export was asked for. For sessions only, not for API keys.",
)
GET_EXPORT = Operation(
    name="get-export",
    summary="Get the export of your data",
    access=Access.CUSTOMER,
    answers={200: Answer("The export, with a link when it is ready", Export)},
    problems=(EXPORT_NOT_FOUND,),
)


def document(export: DataExport, url: str | None) -> Export:
    """The API's form of an export."""
    expires_at = export.expires_at
    return Export(
        status="preparing" if export.made_at is None else "ready",
        requested_at=format_utc(export.requested_at, "seconds"),
        expires_at=None if expires_at is None else format_utc(expires_at, "seconds"),
        bytes=export.bytes,
        url=url,
    )
