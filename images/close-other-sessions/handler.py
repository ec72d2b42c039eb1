"""Closes the signed-in user's other sessions."""

import os
from dataclasses import dataclass

from services.accounts.api import CLOSE_OTHER_SESSIONS
from services.accounts.close_other_sessions import CloseOtherSessions
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
    CLOSE_OTHER_SESSIONS,
    CloseOtherSessions(SessionStore(client("dynamodb"), configuration.sessions_table)).handle,
)
