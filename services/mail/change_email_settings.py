"""change-email-settings: answers PATCH /users/me/email-settings."""

from __future__ import annotations

from dataclasses import dataclass

from services.mail.api import EmailSettings, EmailSettingsChange
from services.mail.recipients import Recipients
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ChangeEmailSettings:
    """Changes which e-mails the signed-in user gets."""

    recipients: Recipients

    def handle(self, request: Request) -> Response:
        """Returns the settings after the change."""
        change: EmailSettingsChange = request.body
        address = request.caller.email
        if change.photo_emails is None:
            settings = self.recipients.settings(address)
        else:
            settings = self.recipients.choose_photo_emails(address, change.photo_emails)
        suppression = settings.suppression
        return Response(
            200,
            EmailSettings(
                photo_emails=settings.photo_emails,
                stopped_by=None if suppression is None else suppression.value,
            ),
        )
