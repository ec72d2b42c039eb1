"""Tells who is signed in."""

from services.accounts.api import GET_SESSION
from services.accounts.get_session import show
from services.platform.functions.http import http_function

handler = http_function(GET_SESSION, show)
