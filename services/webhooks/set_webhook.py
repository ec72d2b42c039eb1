"""POST /webhooks: sets a webhook."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform import log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError
from services.webhooks import api
from services.webhooks.addresses import AddressPolicy, HostUnknownError, UrlRefusedError
from services.webhooks.endpoints import ENDPOINTS_PER_OWNER, EndpointStore


@dataclass(frozen=True)
class SetWebhook:
    """Creates and changes webhooks of the signed-in user."""

    endpoints: EndpointStore
    policy: AddressPolicy

    def handle(self, request: Request) -> Response:
        """Sets the webhook. Raises HttpProblem 400 for a URL that is not allowed, and 409 when the
        user has ENDPOINTS_PER_OWNER webhooks."""
        new: api.NewWebhook = request.body
        owner = request.caller.user_id
        try:
            self.policy.target(new.url)
        except (HostUnknownError, UrlRefusedError) as error:
            raise HttpProblem(
                INVALID_REQUEST,
                f"The webhook cannot be called: {error}.",
                [FieldError("url", "https://HOST/PATH at a public address", str(error))],
            ) from None
        found = self.endpoints.of_owner(owner)
        known = any(endpoint.url == new.url for endpoint in found)
        if not known and len(found) >= ENDPOINTS_PER_OWNER:
            raise HttpProblem(api.TOO_MANY_WEBHOOKS, "Delete a webhook that is not used any more.")
        endpoint, secret = self.endpoints.set(owner, new.url, new.events, rotate=new.rotate_secret)
        log.logger().info("webhook_set", user_id=owner, webhook=endpoint.id)
        return Response(
            200 if known else 201,
            api.StoredWebhook(secret=secret, **api.fields(endpoint)),
            {} if known else {"Location": f"/webhooks/{endpoint.id}"},
        )
