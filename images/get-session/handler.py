"""Tells who is signed in."""

from services.accounts.api import GET_SESSION
from services.accounts.staying import show
from services.platform.http import http_function

handler = http_function(GET_SESSION, show)
