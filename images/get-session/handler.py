"""Describes the current session."""

from services.accounts.api import GET_SESSION
from services.accounts.get_session import GetSession
from services.platform.functions.http import http_function

handler = http_function(GET_SESSION, GetSession().handle)
