"""POST /users/confirmation: creates the account of a confirmed address."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.address_codes import AddressCodes, FoundCode, Purpose
from services.accounts.email_limits import EmailLimit
from services.accounts.model import EmailTakenError, User
from services.accounts.sign_up_api import (
    EMAIL_TAKEN,
    Confirmation,
    invalid_field,
    wrong_code,
)
from services.accounts.users import Users
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class ConfirmUser:
    """Creates customers. The password is hashed last, after every cheaper check."""

    users: Users
    limit: EmailLimit

    def handle(self, request: Request) -> Response:
        """Creates the account. Raises HttpProblem 400 for a weak password, 403 for a wrong code,
        409 for an address that got an account meanwhile, and 429."""
        new: Confirmation = request.body
        proof = new.proof
        self._check_password(new, new.email or "")
        with self.limit.guess(Purpose.SIGN_UP, proof, request.source_ip):
            found = AddressCodes(self.users.database).find(Purpose.SIGN_UP, proof)
        if found is None:
            raise wrong_code()
        self._check_password(new, found.email)
        user = self._create(found, new)
        log.logger().info("user_created", user_id=user.id)
        return Response(201, api.account(user), {"Location": f"/users/{user.id}"})

    def _create(self, found: FoundCode, new: Confirmation) -> User:
        password_hash = passwords.hash_password(new.password)
        try:
            with self.users.database.transaction() as cursor:
                if not AddressCodes.use(cursor, found):
                    raise wrong_code()
                return Users.insert(cursor, found.email, new.name, password_hash)
        except EmailTakenError:
            raise HttpProblem(EMAIL_TAKEN, "The address has an account; sign in.") from None

    @staticmethod
    def _check_password(new: Confirmation, email: str) -> None:
        if (expected := passwords.unmet_requirement(new.password, email)) is not None:
            raise invalid_field("password", expected)
