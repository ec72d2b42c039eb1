"""POST /api-keys: creates an API key for a server."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import key_api as api
from services.accounts.api_keys import KEYS_PER_USER, ApiKeyStore
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class CreateApiKey:
    """Creates keys for the signed-in user."""

    keys: ApiKeyStore

    def handle(self, request: Request) -> Response:
        """Creates the key. Raises HttpProblem 409 when the user has KEYS_PER_USER keys."""
        new: api.NewApiKey = request.body
        caller = request.caller
        if len(self.keys.of_user(caller.user_id)) >= KEYS_PER_USER:
            raise HttpProblem(api.TOO_MANY_KEYS, "Revoke a key that is not used any more.")
        secret, key = self.keys.create(
            caller.user_id,
            caller.email,
            caller.name,
            new.name,
            (scope.value for scope in new.scopes),
            new.expires_in_days,
        )
        log.logger().info("api_key_created", user_id=caller.user_id, scopes=sorted(key.scopes))
        return Response(
            201,
            api.CreatedApiKey(key=secret, **api.fields(key)),
            {"Location": f"/api-keys/{key.id}"},
        )
