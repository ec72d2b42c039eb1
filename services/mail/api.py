"""The operations of e-mail: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated

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
