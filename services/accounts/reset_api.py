"""The operations that replace a forgotten password."""

from __future__ import annotations

import msgspec

from services.accounts.address_codes import Proof
from services.accounts.api import TOO_MANY_ATTEMPTS, Email, NewPassword
from services.accounts.sign_up_api import WRONG_CODE, Code, Token, one_proof
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation


class ResetRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The e-mail address of an account whose password is forgotten."""

    email: Email


class PasswordReset(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new password of a person who got the e-mail: either its `token`, or `email` and `code`."""

    token: Token | None = None
    email: Email | None = None
    code: Code | None = None
    password: NewPassword

    @property
    def proof(self) -> Proof:
        """Raises HttpProblem 400 without exactly one proof."""
        return one_proof(self.token, self.email, self.code)


REQUEST_PASSWORD_RESET = Operation(
    summary="Ask for a new password",
    access=Access.ANYONE,
    body=ResetRequest,
    answers={202: Answer("If the address has an account, an e-mail is on its way")},
    problems=(TOO_MANY_ATTEMPTS,),
    description="Sends an e-mail with a link and a code, valid for an hour and once, for "
    "`POST /password-resets/completion`. An address without an account gets no e-mail; the answer "
    "is the same. An address gets 3 such e-mails an hour and 10 a day, a client network may ask "
    "for 50 an hour.",
)
RESET_PASSWORD = Operation(
    summary="Set a new password with the code of an e-mail",
    access=Access.ANYONE,
    body=PasswordReset,
    answers={204: Answer("The password is changed")},
    problems=(WRONG_CODE, TOO_MANY_ATTEMPTS),
    description="Closes all sessions of the account; API keys and a second factor stay. An "
    "e-mail says so. All reset codes of the account end. An "
    "address has 10 attempts with a code an hour; the link's token has no such limit.",
)
