"""DELETE /api-keys/{id}: revokes an API key."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import key_api as api
from services.accounts.api_keys import ApiKeyStore
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class RevokeApiKey:
    """Deletes a key of the signed-in user."""

    keys: ApiKeyStore

    def handle(self, request: Request) -> Response:
        """Revokes the key. Raises HttpProblem 404, also for other users' keys."""
        parameters: api.ApiKeyParameters = request.parameters
        if not self.keys.revoke(request.caller.user_id, parameters.id):
            raise HttpProblem(api.KEY_NOT_FOUND, f"You have no API key {parameters.id}.")
        log.logger().info("api_key_revoked", user_id=request.caller.user_id)
        return Response(204)
