"""The operations that need access to an e-mail address: sign-up and its confirmation."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.accounts.address_codes import CODE_CHARACTERS, TOKEN_CHARACTERS, Proof
from services.accounts.api import (
    TOO_MANY_ATTEMPTS,
    Account,
    Email,
    Name,
    NewPassword,
)
from services.platform.functions.access import Access
from services.platform.functions.http import (
    INVALID_REQUEST,
    Answer,
    HttpProblem,
    Operation,
    Problem,
)
from services.platform.validation import END, SECRET_SCHEMA, FieldError

EMAIL_TAKEN = Problem(409, "email-taken", "E-mail address already in use")
WRONG_CODE = Problem(403, "wrong-code", "Wrong or expired code")

Token = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}{END}",
        description="the token of the e-mail's link",
        examples=["Zm9ybWVybHktc2VjcmV0LXRva2VuLW9mLWEtbGlua18"],
        extra_json_schema=SECRET_SCHEMA,
    ),
]
Code = Annotated[
    str,
    Meta(
        min_length=CODE_CHARACTERS,
        max_length=2 * CODE_CHARACTERS,
        pattern=rf"^[0-9A-Za-z -]+{END}",
        description="the code of the e-mail",
        examples=["7K2M-9QXB"],
        extra_json_schema=SECRET_SCHEMA,
    ),
]


class SignUp(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The e-mail address of a new account."""

    email: Email


class Confirmation(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new account of a person who got the e-mail: either its `token`, or `email` and `code`."""

    token: Token | None = None
    email: Email | None = None
    code: Code | None = None
    name: Name
    password: NewPassword

    @property
    def proof(self) -> Proof:
        """Raises HttpProblem 400 without exactly one proof."""
        return one_proof(self.token, self.email, self.code)


def one_proof(token: str | None, email: str | None, code: str | None) -> Proof:
    """The proof in a request. Raises HttpProblem 400 without exactly one."""
    if (token is None) == (email is None) or (email is None) != (code is None):
        raise invalid_field("token", "either `token`, or `email` and `code`", "another combination")
    return Proof(token, email, code)


def invalid_field(field: str, expected: str, got: str = "a hidden value") -> HttpProblem:
    """The problem of one invalid field."""
    return HttpProblem(
        INVALID_REQUEST,
        "The request has invalid fields; see `errors`.",
        [FieldError(field, expected, got)],
    )


def wrong_code() -> HttpProblem:
    """The problem of a code that is wrong, used or expired."""
    return HttpProblem(WRONG_CODE, "Send the code of the latest e-mail, or ask for another e-mail.")


CREATE_USER = Operation(
    summary="Sign up",
    access=Access.ANYONE,
    body=SignUp,
    answers={202: Answer("An e-mail is on its way")},
    problems=(TOO_MANY_ATTEMPTS,),
    description="Sends an e-mail with a link and a code, valid for 24 hours and once, with which "
    "`POST /users/confirmation` creates the account. An address that has an account gets an e-mail "
    "that says so; the answer is the same. An address gets 3 such e-mails an hour and 10 a day, a "
    "client network may ask for 50 an hour. Nothing is stored about an account before its "
    "confirmation.",
)
CONFIRM_USER = Operation(
    summary="Confirm your e-mail address and create your account",
    access=Access.ANYONE,
    body=Confirmation,
    answers={201: Answer("The new account", Account, {"Location": "the account's path"})},
    problems=(WRONG_CODE, EMAIL_TAKEN, TOO_MANY_ATTEMPTS),
    description="Name and password are chosen here, by the person who reads the e-mails of the "
    "address. All codes for the address end. An address has 10 attempts with a code an hour; the "
    "link's token has no such limit. Sign in afterwards: `POST /sessions`.",
)
