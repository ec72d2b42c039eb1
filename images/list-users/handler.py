"""Lists the accounts, for administrators."""

import os

from services.accounts.api import LIST_USERS
from services.accounts.list_users import ListUsers
from services.accounts.users import Users
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(LIST_USERS, ListUsers(Users(database)).handle)
