"""The operations of e-mail: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.mail.recipients import TOKEN_DIGITS
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import END

UNKNOWN_TOKEN = Problem(404, "unsubscribe-token-unknown", "Unknown unsubscribe link")

Token = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9a-f]{{{TOKEN_DIGITS}}}{END}",
        description="the token of an unsubscribe link, from an e-mail",
        examples=["0" * TOKEN_DIGITS],
    ),
]


class UnsubscribeParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The path of an unsubscribe link."""

    token: Token


SHOW_UNSUBSCRIBE_PAGE = Operation(
    summary="The page of an unsubscribe link",
    description="A page with a button that sends `POST /unsubscribe/{token}`. It changes nothing: "
    "programs that check links open it too.",
    access=Access.ANYONE,
    parameters=UnsubscribeParameters,
    answers={200: Answer("The page", is_page=True)},
)
UNSUBSCRIBE_RECIPIENT = Operation(
    summary="Stop e-mails about photos",
    description="Stops e-mails about photos to the recipient of the token. Mail programs send the "
    "form `List-Unsubscribe=One-Click` (RFC 8058); the body is not read.",
    access=Access.ANYONE,
    parameters=UnsubscribeParameters,
    answers={200: Answer("A page that confirms it", is_page=True)},
    problems=(UNKNOWN_TOKEN,),
)


class EmailSettingsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings to change; those left out stay as they are."""

    photo_emails: bool | None = None


class EmailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which e-mails a user gets. `stopped_by` is why no e-mail at all is sent to the address: it
    bounced, or its owner reported an e-mail as spam; null if e-mails are sent."""

    photo_emails: bool
    stopped_by: Literal["bounce", "complaint"] | None


CHANGE_EMAIL_SETTINGS = Operation(
    summary="Change your e-mail settings",
    description="`photo_emails`: whether you get e-mails about your photos. E-mails about orders "
    "are always sent. An empty object changes nothing and returns the settings.",
    access=Access.CUSTOMER,
    body=EmailSettingsChange,
    answers={200: Answer("The settings after the change", EmailSettings)},
)
