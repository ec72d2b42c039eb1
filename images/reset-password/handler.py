"""Sets a new password with the code of an e-mail."""

import os
from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.email_limits import EmailLimit
from services.accounts.reset_api import RESET_PASSWORD
from services.accounts.reset_password import ResetPassword
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.counters import Counters
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the limits")
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of the account events")


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
limit = EmailLimit(Counters(client("dynamodb"), configuration.attempts_table))
sessions = SessionStore(client("dynamodb"), configuration.sessions_table)
notices = AccountNotices(lambda: client("sns"), configuration.topic_arn)
handler = http_function(
    RESET_PASSWORD, ResetPassword(Users(database), sessions, limit, notices).handle
)
