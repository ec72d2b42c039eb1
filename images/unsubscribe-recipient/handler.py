"""Stops e-mails about photos to the recipient of an unsubscribe link."""

import os
from dataclasses import dataclass

from services.mail.api import UNSUBSCRIBE_RECIPIENT
from services.mail.recipients import Recipients
from services.mail.unsubscribe_recipient import UnsubscribeRecipient
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    recipients_table: str = variable("RECIPIENTS_TABLE", help="table of the recipients")


configuration = read(Configuration, os.environ)
handler = http_function(
    UNSUBSCRIBE_RECIPIENT,
    UnsubscribeRecipient(Recipients(client("dynamodb"), configuration.recipients_table)).handle,
)
