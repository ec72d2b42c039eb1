"""Tells a customer by e-mail what became of a photo."""

import os
from dataclasses import dataclass

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.send_image_email import ImageMailer
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside what all e-mails need."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")


configuration, of_mail = read_all(os.environ, Configuration, MailConfiguration)
outbox = make_outbox(of_mail, client("ses"), client("dynamodb"))
handler = queue_function(ImageMailer(client("s3"), outbox, configuration.renditions_bucket).handle)
