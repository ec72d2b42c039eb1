"""Changes a user's password."""

import os
from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.api import CHANGE_PASSWORD
from services.accounts.change_password import ChangePassword
from services.accounts.rate_limit import SignInLimit
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the sign-in limits")
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of the account events")


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
handler = http_function(
    CHANGE_PASSWORD,
    ChangePassword(
        users=Users(database),
        sessions=SessionStore(client("dynamodb"), configuration.sessions_table),
        limit=SignInLimit(client("dynamodb"), configuration.attempts_table),
        notices=AccountNotices(lambda: client("sns"), configuration.topic_arn),
    ).handle,
)
