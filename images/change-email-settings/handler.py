"""Changes which e-mails a user gets."""

import os
from dataclasses import dataclass

from services.mail.api import CHANGE_EMAIL_SETTINGS
from services.mail.change_email_settings import ChangeEmailSettings
from services.mail.recipients import Recipients
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    recipients_table: str = variable("RECIPIENTS_TABLE", help="table of the recipients")


configuration = read(Configuration, os.environ)
handler = http_function(
    CHANGE_EMAIL_SETTINGS,
    ChangeEmailSettings(Recipients(client("dynamodb"), configuration.recipients_table)).handle,
)
