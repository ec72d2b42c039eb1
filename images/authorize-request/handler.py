"""Finds out who calls the API, for the gateway."""

import os
from dataclasses import dataclass

import botocore.session
from botocore.config import Config

from services.accounts.authorize_request import Authorizer
from services.accounts.sessions import SessionStore
from services.platform import log
from services.platform.configuration import read, variable


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")


configuration = read(Configuration, os.environ)
log.configure()
# The gateway waits 10 s for an answer, so an outage is told sooner than elsewhere: after 7 s.
dynamodb = botocore.session.get_session().create_client(
    "dynamodb",
    config=Config(
        connect_timeout=1,
        read_timeout=2,
        retries={"mode": "standard", "total_max_attempts": 2},
    ),
)
handler = Authorizer(SessionStore(dynamodb, configuration.sessions_table))
