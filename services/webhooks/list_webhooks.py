"""GET /webhooks: the webhooks of the signed-in user."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform.functions.http import Request, Response
from services.webhooks import api
from services.webhooks.endpoints import EndpointStore


@dataclass(frozen=True)
class ListWebhooks:
    """Lists webhooks, without their secrets."""

    endpoints: EndpointStore

    def handle(self, request: Request) -> Response:
        """Returns all of them, oldest first."""
        found = self.endpoints.of_owner(request.caller.user_id)
        return Response(
            200,
            api.WebhookList(webhooks=[api.Webhook(**api.fields(endpoint)) for endpoint in found]),
        )
