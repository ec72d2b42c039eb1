"""The operations of API keys: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.accounts.api import Time
from services.accounts.api_keys import KEYS_PER_USER, PREFIX, ApiKey
from services.platform.functions.access import Access, Scope
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.timestamps import format_epoch
from services.platform.validation import END

DAYS_MAX = 3650

KEY_NOT_FOUND = Problem(404, "api-key-not-found", "API key not found")
TOO_MANY_KEYS = Problem(409, "too-many-api-keys", f"You have {KEYS_PER_USER} API keys")

KeyId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{64}}{END}",
        description="an API key's id, 64 hexadecimal digits",
        examples=["5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"],
    ),
]
KeyName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=rf"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*{END}",
        description="what the key is for, 1 to 100 characters on one line",
        examples=["import server"],
    ),
]


class NewApiKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new API key."""

    name: KeyName
    scopes: Annotated[
        list[Scope],
        Meta(min_length=1, max_length=len(Scope), description="what the key may be used for"),
    ]
    expires_in_days: (
        Annotated[int, Meta(ge=1, le=DAYS_MAX, description=f"1 to {DAYS_MAX}")] | None
    ) = None


class DescribedApiKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An API key, without its secret. `last_used_at` is exact to five minutes."""

    id: KeyId
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class CreatedApiKey(DescribedApiKey, frozen=True, kw_only=True):
    """A new API key with its secret, which is returned only here."""

    key: Annotated[
        str,
        Meta(
            description="send it as `Authorization: Bearer KEY`",
            examples=[f"{PREFIX}Zm9ybWVybHktc2VjcmV0LXRva2VuLW9mLWEtc2Vzc2k"],
        ),
    ]


class ApiKeyList(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """API keys, newest first."""

    api_keys: list[DescribedApiKey]


class ApiKeyParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: KeyId


CREATE_API_KEY = Operation(
    summary="Create an API key for a server",
    access=Access.CUSTOMER,
    body=NewApiKey,
    answers={201: Answer("The new key and its secret", CreatedApiKey, {"Location": "its path"})},
    problems=(TOO_MANY_KEYS,),
    description="A key may be used only for its scopes: never for the account, its sessions and "
    "keys, and never as an administrator. It stays valid when the password changes.",
)
LIST_API_KEYS = Operation(
    summary="List your API keys, newest first",
    access=Access.CUSTOMER,
    answers={200: Answer("All valid keys", ApiKeyList)},
)
REVOKE_API_KEY = Operation(
    summary="Revoke one of your API keys",
    access=Access.CUSTOMER,
    parameters=ApiKeyParameters,
    answers={204: Answer("The key is revoked")},
    problems=(KEY_NOT_FOUND,),
    description="Responses of the authorizer are cached, so the key may be accepted for some more "
    "seconds.",
)


def fields(key: ApiKey) -> dict[str, Any]:
    """The fields of the API's form of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [Scope(scope) for scope in sorted(key.scopes)],
        "created_at": key.created_at,
        "expires_at": None if key.expires_at is None else format_epoch(key.expires_at),
        "last_used_at": None if key.last_used_at is None else format_epoch(key.last_used_at),
    }
