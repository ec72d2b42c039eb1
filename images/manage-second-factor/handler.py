"""Sets up, shows and removes a user's second factor."""

import os
from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.manage_second_factor import ManageSecondFactor
from services.accounts.rate_limit import SignInLimit
from services.accounts.second_factor_api import (
    CONFIRM_SECOND_FACTOR,
    ENROL_SECOND_FACTOR,
    GET_SECOND_FACTOR,
    REMOVAL_ROUTE,
    REMOVE_SECOND_FACTOR,
    ROUTE,
)
from services.accounts.second_factors import SecondFactors
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_functions


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the sign-in limits")
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of the account events")
    required: bool = variable(
        "ADMINISTRATOR_SECOND_FACTOR", default=False, help="administrators need a second factor"
    )


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
function = ManageSecondFactor(
    users=Users(database),
    factors=SecondFactors(database),
    sessions=SessionStore(client("dynamodb"), configuration.sessions_table),
    limit=SignInLimit(client("dynamodb"), configuration.attempts_table),
    notices=AccountNotices(lambda: client("sns"), configuration.topic_arn),
    required_for_administrators=configuration.required,
)
handler = http_functions(
    {
        f"GET {ROUTE}": (GET_SECOND_FACTOR, function.handle),
        f"POST {ROUTE}": (ENROL_SECOND_FACTOR, function.enrol),
        f"PUT {ROUTE}": (CONFIRM_SECOND_FACTOR, function.confirm),
        f"POST {REMOVAL_ROUTE}": (REMOVE_SECOND_FACTOR, function.remove),
    }
)
