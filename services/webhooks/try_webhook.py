"""POST /webhooks/{id}/test: calls a webhook with a test event."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from services.platform import log, timestamps
from services.platform.functions.http import HttpProblem, Request, Response
from services.webhooks import api, payload
from services.webhooks.delivery import Caller, DeliveryError
from services.webhooks.endpoints import EndpointStore
from services.webhooks.model import TEST_EVENT, signed_headers


@dataclass(frozen=True)
class TryWebhook:
    """Calls a webhook of the signed-in user once, also one that is switched off."""

    endpoints: EndpointStore
    caller: Caller
    clock: Callable[[], float] = time.time

    def handle(self, request: Request) -> Response:
        """Returns the outcome. Raises HttpProblem 404, also for other users' webhooks."""
        parameters: api.WebhookParameters = request.parameters
        endpoint = self.endpoints.get(request.caller.user_id, parameters.id)
        if endpoint is None:
            raise HttpProblem(api.WEBHOOK_NOT_FOUND, f"You have no webhook {parameters.id}.")
        body = payload.body(TEST_EVENT, timestamps.now(), {"owner": endpoint.owner}).encode()
        now = self.clock()
        headers = signed_headers(uuid.uuid4().hex, body, endpoint.signing(now), now)
        began = time.monotonic()
        status: int | None
        reason: str | None = None
        try:
            status = self.caller.post(endpoint.url, headers, body)
        except DeliveryError as error:
            status, reason = error.status, str(error)
        log.logger().info("webhook_tried", webhook=endpoint.id, status=status)
        return Response(
            200,
            api.WebhookTrial(
                delivered=reason is None,
                status=status,
                reason=reason,
                duration_ms=round((time.monotonic() - began) * 1000),
            ),
        )
