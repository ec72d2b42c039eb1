"""Has a sign-up e-mail sent."""

import os
from dataclasses import dataclass

from services.accounts.create_user import CreateUser
from services.accounts.email_limits import EmailLimit
from services.accounts.email_requests import EmailRequests
from services.accounts.sign_up_api import CREATE_USER
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.counters import Counters
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    attempts_table: str = variable("ATTEMPTS_TABLE", help="table of the limits")
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of account events")


configuration = read(Configuration, os.environ)
limit = EmailLimit(Counters(client("dynamodb"), configuration.attempts_table))
emails = EmailRequests(client("sns"), configuration.topic_arn, limit)
handler = http_function(CREATE_USER, CreateUser(emails).handle)
