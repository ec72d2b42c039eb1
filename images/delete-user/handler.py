"""Closes a customer's account and asks for its deletion."""

import os
from dataclasses import dataclass

from services.accounts.api_keys import ApiKeyStore
from services.accounts.delete_user import DeleteUser
from services.accounts.deletion_api import DELETE_USER
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
    api_keys_table: str = variable("API_KEYS_TABLE", help="table of the API keys")
    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the sign-in limits")


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
handler = http_function(
    DELETE_USER,
    DeleteUser(
        users=Users(database),
        sessions=SessionStore(client("dynamodb"), configuration.sessions_table),
        keys=ApiKeyStore(client("dynamodb"), configuration.api_keys_table),
        limit=SignInLimit(client("dynamodb"), configuration.attempts_table),
    ).handle,
)
