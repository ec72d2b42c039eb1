"""POST /users: has a sign-up e-mail sent."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts.address_codes import Purpose
from services.accounts.email_requests import EmailRequests
from services.accounts.sign_up_api import SignUp
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class CreateUser:
    """Starts a sign-up; confirm-user creates the account."""

    emails: EmailRequests

    def handle(self, request: Request) -> Response:
        """Requests the e-mail. Raises HttpProblem 429."""
        wanted: SignUp = request.body
        self.emails.request(Purpose.SIGN_UP, wanted.email, request.source_ip)
        return Response(202)
