"""Signs a user in."""

import os
from dataclasses import dataclass

from services.accounts.api import OPEN_SESSION
from services.accounts.create_user import SignIn
from services.accounts.rate_limit import Attempts
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, besides the database's."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the attempts to sign in")


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(of_database)
handler = http_function(
    OPEN_SESSION,
    SignIn(
        users=Users(database),
        sessions=SessionStore(client("dynamodb"), configuration.sessions_table),
        attempts=Attempts(client("dynamodb"), configuration.attempts_table),
    ).open,
)
