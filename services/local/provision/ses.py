"""Sender identities."""

from __future__ import annotations

from typing import Any


def verify_sender(session: Any, address: str) -> None:
    # SES identifies an address without its display name.
    session.client("ses").verify_email_identity(
        EmailAddress=address.rpartition("<")[2].rstrip(">").strip()
    )
