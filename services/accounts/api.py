"""The routes of accounts: what they take and answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from services.accounts.model import PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, Role, User
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import END, SECRET_SCHEMA

PAGE_USERS = 20
PAGE_USERS_MAX = 100

EMAIL_TAKEN = Problem(409, "email-taken", "Another account has this e-mail address")
WRONG_CREDENTIALS = Problem(401, "wrong-credentials", "The address or the password is wrong")
TOO_MANY_ATTEMPTS = Problem(429, "too-many-attempts", "There were too many attempts to sign in")

# ASCII only: SES takes no other local parts, and other domains have an ASCII form.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=254,
        pattern=rf"^{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]{END}",
        description="an e-mail address of ASCII characters",
        examples=["ada@example.com"],
    ),
]
_NO_CONTROL = r"[^\x00-\x1f\x7f]"
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=rf"^{_NO_CONTROL}*[^\s\x00-\x1f\x7f]{_NO_CONTROL}*{END}",
        description="a name in one line, of 1 to 100 characters",
        examples=["Ada Lovelace"],
    ),
]
NewPassword = Annotated[
    str,
    Meta(
        min_length=PASSWORD_CHARACTERS_MIN,
        max_length=PASSWORD_CHARACTERS_MAX,
        description=f"a password of {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} "
        "characters that is not the e-mail address",
        examples=["correct horse battery staple"],
        extra_json_schema=SECRET_SCHEMA,
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PASSWORD_CHARACTERS_MAX,
        description="the account's password",
        examples=["correct horse battery staple"],
        extra_json_schema=SECRET_SCHEMA,
    ),
]
UserId = Annotated[
    str,
    Meta(
        description="the user's id, a UUID",
        examples=["6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"],
        extra_json_schema={"format": "uuid"},
    ),
]
Time = Annotated[
    str,
    Meta(
        description="a time in UTC",
        examples=["2026-03-01T12:00:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
RoleName = Annotated[
    str,
    Meta(
        description="what the account may do: customer or administrator",
        examples=["customer"],
        extra_json_schema={"enum": [role.value for role in Role]},
    ),
]


class NewAccount(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who wants an account."""

    email: Email
    name: Name
    password: NewPassword


class Account(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A user, as others see it."""

    id: UserId
    email: Email
    name: Name
    role: RoleName
    created_at: Time


class AccountPage(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Some users, the newest first. `next_cursor` is null on the last page."""

    users: list[Account]
    next_cursor: str | None


class AccountPageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[
        int,
        Meta(ge=1, le=PAGE_USERS_MAX, description=f"users on a page, 1 to {PAGE_USERS_MAX}"),
    ] = PAGE_USERS
    cursor: (
        Annotated[
            str,
            Meta(min_length=1, max_length=200, description="`next_cursor` of the page before"),
        ]
        | None
    ) = None


class Credentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who wants to sign in."""

    email: Email
    password: Password


class OpenedSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new session. `token` is shown only here; `expires_at` moves on while it is in use."""

    token: Annotated[
        str,
        Meta(
            description="goes into `Authorization: Bearer TOKEN`",
            examples=["Zm9ybWVybHktc2VjcmV0LXRva2VuLW9mLWEtc2Vzc2k"],
        ),
    ]
    expires_at: Time
    user: Account


class SignedInUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The user of a session, as of when it was opened."""

    id: UserId
    email: Email
    role: RoleName


class CurrentSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The session that the request was made with."""

    expires_at: Time
    user: SignedInUser


class CloseParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    all: Annotated[
        bool, Meta(description="whether to close every session of the user, on all devices")
    ] = False


CREATE_USER = Operation(
    summary="Opens an account",
    access=Access.ANYONE,
    body=NewAccount,
    answers={201: Answer("The new account", Account, {"Location": "the account's path"})},
    problems=(EMAIL_TAKEN,),
)
LIST_USERS = Operation(
    summary="Lists the accounts, the newest first",
    access=Access.ADMINISTRATOR,
    parameters=AccountPageParameters,
    answers={200: Answer("A page of accounts", AccountPage)},
)
OPEN_SESSION = Operation(
    summary="Signs in",
    access=Access.ANYONE,
    body=Credentials,
    answers={201: Answer("The new session and its token", OpenedSession)},
    problems=(WRONG_CREDENTIALS, TOO_MANY_ATTEMPTS),
    description="A session is over 14 days after its last use, and 90 days after it was opened. "
    "After 10 attempts for an account, or 100 from an address, within 15 minutes, further ones are "
    "refused until those are over; `Retry-After` says when.",
)
GET_SESSION = Operation(
    summary="Tells who is signed in",
    access=Access.CUSTOMER,
    answers={200: Answer("The session of the token", CurrentSession)},
)
CLOSE_SESSION = Operation(
    summary="Signs out",
    access=Access.CUSTOMER,
    parameters=CloseParameters,
    answers={204: Answer("The session is closed")},
    description="The token may be taken for some seconds more, where its session was looked up "
    "just before.",
)


def account(user: User) -> Account:
    return Account(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role.value,
        created_at=timestamp(user.created_at.timestamp()),
    )


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as the API writes times."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
