"""The operations of accounts: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.accounts.model import PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, Role, User
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.timestamps import format_utc
from services.platform.validation import END, SECRET_SCHEMA

PAGE_USERS = 20
PAGE_USERS_MAX = 100
PAGE_SESSIONS = 20
PAGE_SESSIONS_MAX = 100

WRONG_CREDENTIALS = Problem(401, "wrong-credentials", "Wrong e-mail address or password")
WRONG_PASSWORD = Problem(403, "wrong-password", "Wrong current password")
SECOND_FACTOR_REQUIRED = Problem(401, "second-factor-required", "Second factor required")
WRONG_SECOND_FACTOR_CODE = Problem(
    401, "wrong-second-factor-code", "Wrong or used code of the second factor"
)
SESSION_NOT_FOUND = Problem(404, "session-not-found", "Session not found")
TOO_MANY_ATTEMPTS = Problem(429, "too-many-attempts", "Too many attempts")

# ASCII only: SES accepts no other local parts, and every domain has an ASCII form. Without question
# marks, no address contains an encoded-word (RFC 2047), which mail programs decode.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
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
        description="a name of 1 to 100 characters, on one line",
        examples=["Ada Lovelace"],
    ),
]
NewPassword = Annotated[
    str,
    Meta(
        min_length=PASSWORD_CHARACTERS_MIN,
        max_length=PASSWORD_CHARACTERS_MAX,
        description=f"a password of {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} "
        "characters, other than the e-mail address and common passwords",
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
SecondFactorCode = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=40,
        pattern=rf"^[0-9A-Za-z -]+{END}",
        description="the six digits that the authenticator app shows, or a recovery code",
        examples=["492039"],
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
PageCursor = Annotated[
    str, Meta(min_length=1, max_length=200, description="`next_cursor` of the page before")
]
RoleName = Annotated[
    str,
    Meta(
        description="the account's role: customer or administrator",
        examples=["customer"],
        extra_json_schema={"enum": [role.value for role in Role]},
    ),
]


class Account(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An account, without its password."""

    id: UserId
    email: Email
    name: Name
    role: RoleName
    created_at: Time


class AccountPage(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Accounts, newest first. `next_cursor` is null on the last page."""

    users: list[Account]
    next_cursor: str | None


class AccountPageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[
        int,
        Meta(ge=1, le=PAGE_USERS_MAX, description=f"users on a page, 1 to {PAGE_USERS_MAX}"),
    ] = PAGE_USERS
    cursor: PageCursor | None = None


class Credentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The credentials of an account; `code` for one with a second factor. With `cookie` the
    tokens are set as cookies that no script can read; the web page's origin accepts them."""

    email: Email
    password: Password
    cookie: Annotated[bool, Meta(description="set the tokens as cookies, do not return them")] = (
        False
    )
    code: SecondFactorCode | None = None


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new password for the account, and its current one."""

    current_password: Password
    new_password: NewPassword


class OpenedSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new session. The tokens are returned only here; use of the session extends `expires_at`."""

    token: Annotated[
        str | None,
        Meta(
            description="send it as `Authorization: Bearer TOKEN`; null if it is in a cookie",
            examples=["Zm9ybWVybHktc2VjcmV0LXRva2VuLW9mLWEtc2Vzc2k"],
        ),
    ]
    device_token: Annotated[
        str | None,
        Meta(
            description="send it as the header `Device-Token` when you sign in again on this "
            "device; null if it is in a cookie, or if the account has many new devices today",
            examples=["QW5vdGhlci10b2tlbi1vZi1hLWtub3duLWRldmljZSE"],
        ),
    ]
    expires_at: Time
    user: Account


class SignedInUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The user of a session, at the time when it was opened."""

    id: UserId
    email: Email
    role: RoleName


class CurrentSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The session of the request."""

    expires_at: Time
    user: SignedInUser


SessionId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="the session's id",
        examples=["5f0c2f4f2b3c4d1e8a9b0c1d2e3f4a5b"],
    ),
]


class UserSession(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An open session of the caller's."""

    id: SessionId
    created_at: Time
    used_at: Annotated[
        str,
        Meta(
            description="a time in UTC at most an hour before the last use",
            examples=["2026-03-01T12:00:00Z"],
            extra_json_schema={"format": "date-time"},
        ),
    ]
    expires_at: Time
    current: Annotated[bool, Meta(description="whether this session made the request")]


class SessionPage(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Open sessions, newest first. `next_cursor` is null on the last page."""

    sessions: list[UserSession]
    next_cursor: str | None


class SessionPageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[
        int,
        Meta(ge=1, le=PAGE_SESSIONS_MAX, description=f"sessions, 1 to {PAGE_SESSIONS_MAX}"),
    ] = PAGE_SESSIONS
    cursor: PageCursor | None = None


class SessionPath(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: SessionId


class CloseParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    all: Annotated[bool, Meta(description="close all the user's sessions, on every device")] = False


LIST_USERS = Operation(
    summary="List the accounts, newest first",
    access=Access.ADMINISTRATOR,
    parameters=AccountPageParameters,
    answers={200: Answer("A page of accounts", AccountPage)},
)
OPEN_SESSION = Operation(
    summary="Sign in",
    access=Access.ANYONE,
    body=Credentials,
    answers={
        201: Answer(
            "The new session, its token and that of the device",
            OpenedSession,
            {"Set-Cookie": "with `cookie`: session and device, HttpOnly and SameSite=Strict"},
        )
    },
    request_headers={
        "Device-Token": "`device_token` of an earlier sign-in to this account on the same device"
    },
    problems=(
        WRONG_CREDENTIALS,
        SECOND_FACTOR_REQUIRED,
        WRONG_SECOND_FACTOR_CODE,
        TOO_MANY_ATTEMPTS,
    ),
    description="An account with a second factor also needs `code`; without it, correct "
    "credentials are answered `second-factor-required`. A wrong code counts as a failed attempt, "
    "and each code is accepted once. A session expires 14 days after its last use, and 90 days "
    "after it was opened. In 15 minutes, 10 failed attempts an account and 100 a client network "
    "are allowed. "
    "A device that sends its token, and a network from which the account signed in during the last "
    "90 days, have a limit of 10 failures of their own. A device token expires 180 days after its "
    "last use; a new password, and the end of all or of all other sessions, end it too. "
    "`Retry-After` is the number of seconds until the next attempt is allowed.",
)
CHANGE_PASSWORD = Operation(
    summary="Change your password",
    access=Access.CUSTOMER,
    body=PasswordChange,
    answers={204: Answer("The password is changed")},
    problems=(WRONG_PASSWORD, TOO_MANY_ATTEMPTS),
    description="Closes your other sessions. Safe to repeat. A wrong current password counts as a "
    "failed sign-in. An e-mail says that the password was changed.",
)
GET_SESSION = Operation(
    summary="Get the current session",
    access=Access.CUSTOMER,
    answers={200: Answer("The session of the token", CurrentSession)},
)
CLOSE_SESSION = Operation(
    summary="Sign out",
    access=Access.CUSTOMER,
    parameters=CloseParameters,
    answers={204: Answer("The session is closed")},
    description="Responses of the authorizer are cached, so the token may be accepted for some "
    "more seconds.",
)
LIST_SESSIONS = Operation(
    summary="List your open sessions, newest first",
    access=Access.CUSTOMER,
    parameters=SessionPageParameters,
    answers={200: Answer("A page of sessions", SessionPage)},
    description="A session opened in the last seconds may be missing.",
)
REVOKE_SESSION = Operation(
    summary="Close one of your sessions",
    access=Access.CUSTOMER,
    parameters=SessionPath,
    answers={204: Answer("The session is closed")},
    problems=(SESSION_NOT_FOUND,),
    description="The token of the session may be accepted for some more seconds.",
)
CLOSE_OTHER_SESSIONS = Operation(
    summary="Close all your sessions except the current one",
    access=Access.CUSTOMER,
    answers={204: Answer("The other sessions are closed")},
    description="Their tokens may be accepted for some more seconds.",
)


def account(user: User) -> Account:
    """The API's form of a user."""
    return Account(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role.value,
        created_at=format_utc(user.created_at, "seconds"),
    )
