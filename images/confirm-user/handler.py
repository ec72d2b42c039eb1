"""Creates the account of a confirmed address."""

import os
from dataclasses import dataclass

from services.accounts.confirm_user import ConfirmUser
from services.accounts.email_limits import EmailLimit
from services.accounts.sign_up_api import CONFIRM_USER
from services.accounts.users import Users
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.counters import Counters
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the limits")


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
limit = EmailLimit(Counters(client("dynamodb"), configuration.attempts_table))
handler = http_function(CONFIRM_USER, ConfirmUser(Users(database), limit).handle)
