"""Closes one of the signed-in user's sessions."""

import os
from dataclasses import dataclass

from services.accounts.api import REVOKE_SESSION
from services.accounts.revoke_session import RevokeSession
from services.accounts.sessions import SessionStore
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")


configuration = read(Configuration, os.environ)
handler = http_function(
    REVOKE_SESSION,
    RevokeSession(SessionStore(client("dynamodb"), configuration.sessions_table)).handle,
)
