"""The operation that deletes an account."""

from __future__ import annotations

import msgspec

from services.accounts.api import TOO_MANY_ATTEMPTS, WRONG_PASSWORD, Password
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation


class DeletionRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The password of the account to delete."""

    password: Password


DELETE_USER = Operation(
    summary="Delete your account",
    access=Access.CUSTOMER,
    body=DeletionRequest,
    answers={202: Answer("The account is closed, its data will be deleted")},
    problems=(WRONG_PASSWORD, TOO_MANY_ATTEMPTS),
    description="Ends all sessions and API keys. When the last open order has ended, photos, "
    "renditions and print files are deleted, within minutes and once more after the last upload "
    "form has expired. Orders are kept without name, address and e-mail address, for their amounts "
    "and taxes. A wrong password counts as a failed sign-in.",
)
