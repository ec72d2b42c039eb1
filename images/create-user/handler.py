"""Creates an account."""

import os

from services.accounts.api import CREATE_USER
from services.accounts.create_user import CreateUser
from services.accounts.users import Users
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function

database = Database(read(DatabaseConfiguration, os.environ))
handler = http_function(CREATE_USER, CreateUser(Users(database)).handle)
