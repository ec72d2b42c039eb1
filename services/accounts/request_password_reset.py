"""POST /password-resets: has an e-mail sent with which a forgotten password is replaced."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts.address_codes import Purpose
from services.accounts.email_requests import EmailRequests
from services.accounts.reset_api import ResetRequest
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class RequestPasswordReset:
    """Starts a reset; reset-password sets the new password."""

    emails: EmailRequests

    def handle(self, request: Request) -> Response:
        """Requests the e-mail. Raises HttpProblem 429."""
        wanted: ResetRequest = request.body
        self.emails.request(Purpose.PASSWORD_RESET, wanted.email, request.source_ip)
        return Response(202)
