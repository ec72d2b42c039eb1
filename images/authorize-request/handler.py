"""The API's authorizer: finds the session or the API key of a request."""

import os
from dataclasses import dataclass

import botocore.session
from botocore.config import Config

from services.accounts.api_keys import ApiKeyStore
from services.accounts.authorize_request import AuthorizeRequest
from services.accounts.sessions import SessionStore
from services.platform.configuration import read, variable
from services.platform.functions.invocation import handler_ready


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    api_keys_table: str = variable("API_KEYS_TABLE", help="table of the API keys")
    second_factor: bool = variable(
        "ADMINISTRATOR_SECOND_FACTOR", default=False, help="administrators need a second factor"
    )


configuration = read(Configuration, os.environ)
# API Gateway waits 10 s for the authorizer, so its timeouts are shorter than elsewhere: 7 s in all.
dynamodb = botocore.session.get_session().create_client(
    "dynamodb",
    config=Config(
        connect_timeout=1,
        read_timeout=2,
        retries={"mode": "standard", "total_max_attempts": 2},
    ),
)
handler = AuthorizeRequest(
    SessionStore(dynamodb, configuration.sessions_table),
    ApiKeyStore(dynamodb, configuration.api_keys_table),
    configuration.second_factor,
).handle
handler_ready()
