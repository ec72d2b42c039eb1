"""GET /api-keys: the API keys of the signed-in user."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import key_api as api
from services.accounts.api_keys import ApiKeyStore
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ListApiKeys:
    """Lists the user's keys, without their secrets."""

    keys: ApiKeyStore

    def handle(self, request: Request) -> Response:
        """Returns all valid keys, newest first."""
        found = self.keys.of_user(request.caller.user_id)
        keys = [api.DescribedApiKey(**api.fields(key)) for key in found]
        return Response(200, api.ApiKeyList(api_keys=keys))
