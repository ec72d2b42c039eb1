"""Accounts in the database of a lab, without a sign-up by e-mail."""

from __future__ import annotations

from contextlib import closing

from services.accounts.add_user import add_user
from services.accounts.model import User
from services.accounts.users import Users
from services.client.api import Api
from services.platform.database import Database


def signed_in(api: Api, database: Database, email: str, name: str, password: str) -> User:
    """Creates an account in `database`, and signs `api` in to it. Closes the database."""
    with closing(database):
        user = add_user(Users(database), email, name, password)
    api.sign_in(email, password)
    return user
