"""Sends the e-mail about the outcome of a development."""

import os
from dataclasses import dataclass

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.digests import make_digests
from services.mail.send_image_email import SendImageEmail
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    # Set by the host of the function.
    queue_url: str | None = variable("QUEUE_URL", default=None)


configuration, mail_configuration = read_all(os.environ, Configuration, MailConfiguration)
outbox = make_outbox(mail_configuration)
handler = queue_function(
    SendImageEmail(
        client("s3"),
        outbox,
        configuration.renditions_bucket,
        make_digests(outbox, configuration.queue_url, mail_configuration.photo_emails_per_day),
    ).handle
)
