"""Signs a user in."""

import os
from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.api import OPEN_SESSION
from services.accounts.devices import KnownDevices
from services.accounts.open_session import OpenSession
from services.accounts.rate_limit import SignInLimit
from services.accounts.second_factors import SecondFactors
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
sessions = SessionStore(client("dynamodb"), configuration.sessions_table)
handler = http_function(
    OPEN_SESSION,
    OpenSession(
        users=Users(database),
        sessions=sessions,
        devices=KnownDevices(sessions),
        limit=SignInLimit(client("dynamodb"), configuration.attempts_table),
        factors=SecondFactors(database),
        notices=AccountNotices(lambda: client("sns"), configuration.topic_arn),
    ).handle,
)
