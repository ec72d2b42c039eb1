"""Has an e-mail sent with which a forgotten password is replaced."""

import os
from dataclasses import dataclass

from services.accounts.email_limits import EmailLimit
from services.accounts.email_requests import EmailRequests
from services.accounts.request_password_reset import RequestPasswordReset
from services.accounts.reset_api import REQUEST_PASSWORD_RESET
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
handler = http_function(REQUEST_PASSWORD_RESET, RequestPasswordReset(emails).handle)
