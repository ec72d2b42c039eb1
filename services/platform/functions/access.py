"""Who may call an operation of the HTTP API, and who does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.platform.errors import TransientError
from services.platform.functions.problems import (
    NOT_ALLOWED,
    NOT_SIGNED_IN,
    SESSION_EXPIRED,
    HttpProblem,
)


class Access(StrEnum):
    """Who may call an operation."""

    ANYONE = "anyone"
    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What an API key may be used for."""

    PHOTOS_READ = "photos:read"
    PHOTOS_WRITE = "photos:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    WEBHOOKS_MANAGE = "webhooks:manage"


class SessionState(StrEnum):
    """The state of the session, as the authorizer passes it on in its context's `session`."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Caller:
    """The signed-in user, or the owner of an API key. `session_id` is the hash of the session's
    token; `session_expires_at` is in seconds since the epoch. For an API key they are empty and 0.
    """

    user_id: str
    email: str
    role: str
    session_id: str
    session_expires_at: int
    name: str = ""


def identify(about: Mapping[str, Any], access: Access, scope: Scope | None = None) -> Caller | None:
    """The caller of a request, from the event's `requestContext`; None on a public operation.
    `scope` is what an API key needs; None: the operation is for sessions only.

    Raises HttpProblem 401 or 403 when the operation does not admit the caller, and TransientError
    when the authorizer could not read the session.
    """
    if access is Access.ANYONE:
        return None
    found = about.get("authorizer", {}).get("lambda", {})
    state = found.get("session")
    if state == SessionState.UNAVAILABLE:
        raise TransientError("the session could not be read")
    if state == SessionState.VALID and "scopes" in found:
        return _owner_of_key(found, scope)
    challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
    # The gateway caches the authorizer's decision, possibly beyond the end of the session.
    if state == SessionState.EXPIRED or (
        state == SessionState.VALID and float(found["expires_at"]) <= time.time()
    ):
        raise HttpProblem(SESSION_EXPIRED, "Sign in again: POST /sessions.", headers=challenge)
    if state != SessionState.VALID:
        raise HttpProblem(
            NOT_SIGNED_IN,
            "Send the token of an open session as `Authorization: Bearer TOKEN`; sign in with "
            "POST /sessions.",
            headers=challenge,
        )
    caller = Caller(
        found["user_id"],
        found["email"],
        found["role"],
        found["session_id"],
        int(float(found["expires_at"])),
        # Sessions that were opened by an earlier version have no name.
        found.get("name", ""),
    )
    if access is Access.ADMINISTRATOR and caller.role != Access.ADMINISTRATOR:
        raise HttpProblem(
            NOT_ALLOWED,
            "Only administrators may do this. They may have to sign in with a second factor.",
        )
    return caller


def _owner_of_key(found: Mapping[str, Any], scope: Scope | None) -> Caller:
    """The owner of a request's API key, as a customer. Raises HttpProblem 403 when the key does not
    have the scope."""
    if scope is None:
        raise HttpProblem(NOT_ALLOWED, "API keys may not do this; send the token of a session.")
    if scope not in str(found["scopes"]).split():
        raise HttpProblem(
            NOT_ALLOWED,
            f"The API key needs the scope {scope.value}.",
            headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
    return Caller(
        found["user_id"], found["email"], Access.CUSTOMER.value, "", 0, found.get("name", "")
    )
