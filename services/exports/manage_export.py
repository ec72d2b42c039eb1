"""POST and GET /users/me/export: asks for an export of the signed-in user's data, and shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.accounts import AccountEventType, account_event, publish
from services.exports import api
from services.exports.store import DataExport, DataExports
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response
from services.platform.usage import DailyLimit


@dataclass(frozen=True)
class ManageExport:
    """Requests exports, and presigns links to those that are made."""

    exports: DataExports
    s3: Any
    bucket: str
    sns: Any
    topic_arn: str
    limit: DailyLimit

    def request(self, request: Request) -> Response:
        """Requests an export, unless there is one. Raises HttpProblem 429.

        While it is prepared, a repetition publishes the request again: an earlier one may be lost.
        """
        caller = request.caller
        self.limit.take(caller.user_id, request.source_ip)
        export = self.exports.request(caller.user_id)
        if export.made_at is None:
            event = account_event(AccountEventType.EXPORT_REQUESTED, caller.email, export.id)
            publish(self.sns, self.topic_arn, event)
            log.logger().info("export_requested", export_id=export.id)
        return Response(202, api.document(export, self._link(export)))

    def handle(self, request: Request) -> Response:
        """Returns the export of the signed-in user. Raises HttpProblem 404 if there is none."""
        export = self.exports.current(request.caller.user_id)
        if export is None:
            raise HttpProblem(
                api.EXPORT_NOT_FOUND, "There is none, or it has expired: POST /users/me/export."
            )
        return Response(200, api.document(export, self._link(export)))

    def _link(self, export: DataExport) -> str | None:
        if export.made_at is None:
            return None
        return str(
            self.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": export.key,
                    "ResponseContentDisposition": 'attachment; filename="darkroom-export.json"',
                },
                ExpiresIn=api.LINK_SECONDS,
            )
        )
