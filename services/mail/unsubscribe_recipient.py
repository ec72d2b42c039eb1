"""unsubscribe-recipient: answers POST /unsubscribe/{token}."""

from __future__ import annotations

from dataclasses import dataclass

from services.mail.api import UNKNOWN_TOKEN
from services.mail.recipients import Recipients
from services.mail.show_unsubscribe_page import page
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class UnsubscribeRecipient:
    """Stops e-mails about photos to one recipient."""

    recipients: Recipients

    def handle(self, request: Request) -> Response:
        """Returns a page that confirms it. Raises HttpProblem 404 for an unknown token."""
        if not self.recipients.unsubscribe(request.parameters.token):
            raise HttpProblem(
                UNKNOWN_TOKEN, "Open the link of an e-mail; it may have been cut in two lines."
            )
        log.logger().info("recipient_unsubscribed")
        return page(
            "Unsubscribed",
            "You get no more e-mails about your photos. E-mails about orders go on.",
        )
