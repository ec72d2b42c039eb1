"""Sends the e-mail about the outcome of a development."""

import os
from dataclasses import dataclass

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.digests import Digests
from services.mail.outbox import Outbox
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

    def digests(self, outbox: Outbox, per_day: int | None) -> Digests | None:
        """The digests of photos; None where e-mails about photos have no limit."""
        if per_day is None or self.queue_url is None or outbox.recipients is None:
            return None
        return Digests(
            outbox.recipients, outbox.idempotency, lambda: client("sqs"), self.queue_url, per_day
        )


configuration, mail_configuration = read_all(os.environ, Configuration, MailConfiguration)
outbox = make_outbox(mail_configuration)
handler = queue_function(
    SendImageEmail(
        client("s3"),
        outbox,
        configuration.renditions_bucket,
        configuration.digests(outbox, mail_configuration.photo_emails_per_day),
    ).handle
)
