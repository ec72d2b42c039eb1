"""Stops e-mails to addresses that bounce or complain."""

import os
from dataclasses import dataclass

from services.mail.recipients import Recipients
from services.mail.record_bounce import RecordBounce
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    recipients_table: str = variable("RECIPIENTS_TABLE", help="table of the recipients")


configuration = read(Configuration, os.environ)
handler = queue_function(
    RecordBounce(Recipients(client("dynamodb"), configuration.recipients_table)).handle
)
