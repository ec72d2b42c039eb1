"""DELETE /webhooks/{id}: deletes a webhook."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response
from services.webhooks import api
from services.webhooks.endpoints import EndpointStore


@dataclass(frozen=True)
class DeleteWebhook:
    """Deletes a webhook of the signed-in user."""

    endpoints: EndpointStore

    def handle(self, request: Request) -> Response:
        """Deletes it. Raises HttpProblem 404, also for other users' webhooks."""
        parameters: api.WebhookParameters = request.parameters
        if not self.endpoints.delete(request.caller.user_id, parameters.id):
            raise HttpProblem(api.WEBHOOK_NOT_FOUND, f"You have no webhook {parameters.id}.")
        log.logger().info("webhook_deleted", webhook=parameters.id)
        return Response(204)
