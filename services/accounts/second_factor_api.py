"""The operations of the second factor: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.accounts.api import (
    TOO_MANY_ATTEMPTS,
    WRONG_PASSWORD,
    WRONG_SECOND_FACTOR_CODE,
    Password,
    SecondFactorCode,
)
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import SECRET_SCHEMA

ROUTE = "/users/me/second-factor"
REMOVAL_ROUTE = f"{ROUTE}/removal"

ENABLED_ALREADY = Problem(409, "second-factor-enabled", "Second factor already on")
WRONG_CODE = Problem(403, WRONG_SECOND_FACTOR_CODE.slug, WRONG_SECOND_FACTOR_CODE.title)


class SecondFactor(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whether sign-in asks for a code of an authenticator app."""

    enabled: bool
    recovery_codes_left: int


class Enrolment(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The password of the account."""

    password: Password


class NewSecondFactor(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The secret for an authenticator app, which is returned only here."""

    secret: Annotated[
        str,
        Meta(description="base32, to type", extra_json_schema=SECRET_SCHEMA),
    ]
    otpauth_uri: Annotated[
        str,
        Meta(description="the same, for a QR code", extra_json_schema=SECRET_SCHEMA),
    ]


class FirstCode(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The first code that the app shows."""

    code: SecondFactorCode


class RecoveryCodes(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Codes to sign in without the app, each once. They are returned only here."""

    recovery_codes: Annotated[list[str], Meta(extra_json_schema=SECRET_SCHEMA)]


class Removal(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The password of the account, and a code of the app or a recovery code."""

    password: Password
    code: SecondFactorCode


GET_SECOND_FACTOR = Operation(
    name="get-second-factor",
    summary="Get the state of your second factor",
    access=Access.CUSTOMER,
    answers={200: Answer("The state", SecondFactor)},
)
ENROL_SECOND_FACTOR = Operation(
    name="enrol-second-factor",
    summary="Start to set up a second factor",
    access=Access.CUSTOMER,
    body=Enrolment,
    answers={201: Answer("The secret for the app", NewSecondFactor)},
    problems=(WRONG_PASSWORD, ENABLED_ALREADY, TOO_MANY_ATTEMPTS),
    description="Codes are those of RFC 6238 (TOTP): SHA-1, six digits, 30 seconds. Nothing is "
    "asked for at sign-in until the first code is confirmed by `PUT`; a repetition replaces the "
    "secret. A wrong password counts as a failed sign-in.",
)
CONFIRM_SECOND_FACTOR = Operation(
    name="confirm-second-factor",
    summary="Switch the second factor on with its first code",
    access=Access.CUSTOMER,
    body=FirstCode,
    answers={200: Answer("The recovery codes", RecoveryCodes)},
    problems=(WRONG_CODE, TOO_MANY_ATTEMPTS),
    description="Closes your other sessions. From now on `POST /sessions` needs `code`. API keys "
    "stay. An e-mail says so.",
)
REMOVE_SECOND_FACTOR = Operation(
    name="remove-second-factor",
    summary="Switch the second factor off",
    access=Access.CUSTOMER,
    body=Removal,
    answers={204: Answer("The second factor is off")},
    problems=(WRONG_PASSWORD, WRONG_CODE, TOO_MANY_ATTEMPTS),
    description="A wrong password or code counts as a failed sign-in. Where administrators need a "
    "second factor, they cannot switch it off. An e-mail says so.",
)
