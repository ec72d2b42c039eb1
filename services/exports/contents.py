"""What is stored about a user, as the parts of the export's JSON document.

Not exported: hashes of passwords and tokens, secrets of webhooks and authenticator apps, and
counters of attempts, whose keys are hashes.
tests/integration/accounts/test_owner_data.py lists every store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.accounts import key_api
from services.accounts.api_keys import ApiKeyStore
from services.accounts.devices import KnownDevices
from services.accounts.second_factors import SecondFactors
from services.accounts.sessions import SessionStore
from services.catalog.model import ImageRecord, parse_original_key
from services.catalog.presentation import ImagePresenter
from services.catalog.store import Catalog
from services.mail.recipients import Recipients
from services.orders import api as order_api
from services.orders.store import Orders, Position
from services.platform.database import Database
from services.platform.timestamps import format_epoch, format_utc
from services.webhooks import api as webhook_api
from services.webhooks.endpoints import EndpointStore

SESSIONS_MAX = 1_000
_PAGE_ITEMS = 100


@dataclass(frozen=True)
class Owner:
    """The account that is exported."""

    id: str
    email: str
    name: str
    role: str
    created_at: datetime


@dataclass(frozen=True)
class Contents:
    """Reads everything about a user. Every method may raise TransientError."""

    database: Database
    catalog: Catalog
    presenter: ImagePresenter
    recipients: Recipients
    sessions: SessionStore
    keys: ApiKeyStore
    webhooks: EndpointStore

    def owner(self, user_id: str) -> Owner | None:
        """The account; None if there is none, or its deletion was asked for."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT id, email, name, role, created_at FROM users "
                "WHERE id = %s AND deletion_requested_at IS NULL",
                [user_id],
            )
            row = cursor.fetchone()
        return Owner(str(row[0]), *row[1:]) if row else None

    def parts(self, owner: Owner) -> Iterator[tuple[str, dict[str, Any] | Iterator[Any]]]:
        """The names of the document's members and their values; an iterator is an array."""
        yield "account", self._account(owner)
        yield "second_factor", self._second_factor(owner.id)
        yield "email_settings", self._email_settings(owner.email)
        yield "sessions", self._sessions(owner.id)
        yield "devices", self._devices(owner.id)
        yield "api_keys", (key_api.fields(key) for key in self.keys.of_user(owner.id))
        yield "webhooks", map(webhook_api.fields, self.webhooks.of_owner(owner.id))
        yield "orders", self._orders(owner.id)
        yield "photos", self._photos(owner.id)

    def _account(self, owner: Owner) -> dict[str, Any]:
        return {
            "id": owner.id,
            "email": owner.email,
            "name": owner.name,
            "role": owner.role,
            "created_at": format_utc(owner.created_at, "seconds"),
        }

    def _second_factor(self, user_id: str) -> dict[str, Any]:
        state = SecondFactors(self.database).state(user_id)
        since = state.enabled_at
        return {
            "enabled_at": None if since is None else format_utc(since, "seconds"),
            "recovery_codes_left": state.recovery_codes_left,
        }

    def _email_settings(self, email: str) -> dict[str, Any]:
        settings = self.recipients.settings(email)
        suppression = settings.suppression
        return {
            "photo_emails": settings.photo_emails,
            "stopped_by": None if suppression is None else suppression.value,
        }

    def _sessions(self, user_id: str) -> Iterator[dict[str, Any]]:
        for session in self.sessions.newest(user_id, SESSIONS_MAX):
            yield {
                "id": session.public_id,
                "created_at": session.created_at,
                "used_at": format_epoch(session.renewed_at),
                "expires_at": format_epoch(session.expires_at),
            }

    def _devices(self, user_id: str) -> Iterator[dict[str, Any]]:
        for device in KnownDevices(self.sessions).of_user(user_id):
            yield {
                "created_at": device.created_at,
                "expires_at": format_epoch(device.expires_at),
            }

    def _orders(self, user_id: str) -> Iterator[dict[str, Any]]:
        orders = Orders(self.database)
        before = None
        while page := orders.page(user_id, _PAGE_ITEMS, before):
            for order in page:
                shown = order_api.details(order, orders.transitions(order.id))
                yield msgspec.to_builtins(shown) | {
                    "recipient": order.recipient,
                    "payment_method": order.payment_method,
                    "refund_id": order.refund_id,
                    # With the sizes and the cropping, which the API leaves out.
                    "lines": [msgspec.to_builtins(line) for line in order.lines],
                }
            before = Position(page[-1].created_at, page[-1].id)

    def _photos(self, user_id: str) -> Iterator[dict[str, Any]]:
        for record in self.catalog.every_image(user_id, None, _PAGE_ITEMS):
            if record.visible:
                yield self._photo(record)

    def _photo(self, record: ImageRecord) -> dict[str, Any]:
        shown = msgspec.to_builtins(self.presenter.image(record))
        # `thumbnail` and `original` are among `renditions` and `originals`.
        return {k: v for k, v in shown.items() if k not in ("thumbnail", "original")} | {
            "recipe_version": record.recipe,
            "originals": [
                {
                    "filename": parse_original_key(key).filename,
                    "upload": parse_original_key(key).upload,
                    "location_kept": key in record.location_keys,
                    "url": self.presenter.original_link(key),
                }
                for key in sorted(record.source_keys)
            ],
        }
