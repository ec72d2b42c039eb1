"""The API, as a program of a customer's sees it."""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from services.platform.errors import PermanentError, TransientError

TIMEOUT_SECONDS = 35.0  # longer than the API's own 30
UPLOAD_TIMEOUT_SECONDS = 300.0
# A cold lab needs a moment; so does a photo that is tried again.
DEVELOPED_SECONDS = 120.0
ENDED_SECONDS = 300.0
EXPORTED_SECONDS = 600.0
ENDS = frozenset({"shipped", "rejected", "out_of_stock", "payment_declined", "cancelled", "failed"})
POLL_SECONDS = 0.2
# Before an answer that asks to come again is taken for an outage.
ATTEMPTS = 4
REPEAT_SECONDS = 0.5
# Types that Python does not know everywhere.
_TYPES = {
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".avif": "image/avif",
    ".webp": "image/webp",
}


class ApiProblem(PermanentError):  # noqa: N818  RFC 9457's word
    """The API refused. `slug` is the problem's name, such as `wrong-credentials`."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.slug = str(document.get("type", "")).rpartition(":")[2]
        self.document = document
        detail = document.get("detail") or document.get("message") or "no reason was given"
        errors = [
            f"{e.get('field') or 'the body'}: expected {e.get('expected')}, got {e.get('got')}"
            for e in document.get("errors", ())
        ]
        title = document.get("title")
        super().__init__("; ".join([f"{title}: {detail}" if title else detail, *errors]))


@dataclass
class Api:
    """Calls the API at `url`, with the token of a session when there is one.

    Raises ApiProblem when the API refuses, TransientError when it is away.
    """

    url: str
    token: str | None = None
    _http: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=TIMEOUT_SECONDS), repr=False
    )

    def close(self) -> None:
        self._http.close()

    # -- accounts

    def sign_up(self, email: str) -> None:
        """Has a code sent to the address, with which `confirm` creates the account."""
        self._call("POST", "/users", json={"email": email})

    def confirm(self, email: str, code: str, name: str, password: str) -> dict[str, Any]:
        """Creates the account of an address, with the code that was sent to it."""
        return self._call(
            "POST",
            "/users/confirmation",
            json={"email": email, "code": code, "name": name, "password": password},
        )

    def sign_in(
        self, email: str, password: str, code: str | None = None, device_token: str | None = None
    ) -> dict[str, Any]:
        """Opens a session and keeps its token for the calls that follow. `code` is that of a second
        factor, `device_token` that of an earlier session."""
        body = {"email": email, "password": password, "code": code}
        headers = {} if device_token is None else {"Device-Token": device_token}
        session = self._call("POST", "/sessions", json=body, headers=headers)
        self.token = str(session["token"])
        return session

    def session(self) -> dict[str, Any]:
        return self._call("GET", "/sessions/current")

    def sign_out(self, *, everywhere: bool = False) -> None:
        self._call("DELETE", "/sessions/current", params={"all": "true"} if everywhere else {})
        self.token = None

    def sessions(self) -> Iterator[dict[str, Any]]:
        """The user's open sessions, newest first."""
        yield from self._pages("/sessions", "sessions")

    def revoke_session(self, session_id: str) -> None:
        """Closes one of the user's sessions."""
        self._call("DELETE", f"/sessions/{quote(session_id, safe='')}")

    def close_other_sessions(self) -> None:
        """Closes all the user's sessions except the one in use."""
        self._call("DELETE", "/sessions")

    def change_email_settings(self, photo_emails: bool | None = None) -> dict[str, Any]:
        """Changes whether the user gets e-mails about photos (None: no change); returns the
        settings."""
        change = {} if photo_emails is None else {"photo_emails": photo_emails}
        return self._call("PATCH", "/users/me/email-settings", json=change)

    def change_password(self, current: str, new: str) -> None:
        """Changes the password, and closes the user's other sessions."""
        self._call(
            "PUT",
            "/users/me/password",
            json={"current_password": current, "new_password": new},
        )

    def request_password_reset(self, email: str) -> None:
        """Has a code sent to the address, if it has an account."""
        self._call("POST", "/password-resets", json={"email": email})

    def reset_password(self, email: str, code: str, password: str) -> None:
        """Sets a new password with the code of an e-mail, and closes all sessions of the user."""
        self._call(
            "POST",
            "/password-resets/completion",
            json={"email": email, "code": code, "password": password},
        )

    def delete_account(self, password: str) -> None:
        """Closes the account and has its data deleted."""
        self._call("POST", "/users/me/deletion", json={"password": password})
        self.token = None

    def second_factor(self) -> dict[str, Any]:
        """Whether the account has a second factor, and how many recovery codes are left."""
        return self._call("GET", "/users/me/second-factor")

    def enrol_second_factor(self, password: str) -> dict[str, Any]:
        """A new secret for an authenticator app, in use after `confirm_second_factor`."""
        return self._call("POST", "/users/me/second-factor", json={"password": password})

    def confirm_second_factor(self, code: str) -> list[str]:
        """Switches the second factor on with its first code; the recovery codes."""
        answer = self._call("PUT", "/users/me/second-factor", json={"code": code})
        return list(answer["recovery_codes"])

    def remove_second_factor(self, password: str, code: str) -> None:
        """Switches the second factor off."""
        body = {"password": password, "code": code}
        self._call("POST", "/users/me/second-factor/removal", json=body)

    def request_export(self) -> dict[str, Any]:
        """Asks for an export of the user's data; the one that there is until it expires."""
        return self._call("POST", "/users/me/export")

    def export(self) -> dict[str, Any]:
        """The export of the user's data; its `url` is None until it is ready."""
        return self._call("GET", "/users/me/export")

    def exported(self, seconds: float = EXPORTED_SECONDS) -> dict[str, Any]:
        """Asks for an export and waits until it is ready. Raises TransientError after `seconds`."""
        give_up_at = time.monotonic() + seconds
        export = self.request_export()
        while export["url"] is None:
            if time.monotonic() > give_up_at:
                raise TransientError(f"the export was not ready within {seconds:g} s; try again")
            time.sleep(POLL_SECONDS)
            export = self.export()
        return export

    def users(self) -> Iterator[dict[str, Any]]:
        """Every account; for administrators."""
        yield from self._pages("/users", "users")

    # -- API keys

    def create_api_key(
        self, name: str, scopes: Sequence[str], days: int | None = None
    ) -> dict[str, Any]:
        """Creates an API key, valid for `days` days; its secret is in `key`."""
        body = {"name": name, "scopes": list(scopes), "expires_in_days": days}
        return self._call("POST", "/api-keys", json=body)

    def api_keys(self) -> list[dict[str, Any]]:
        """The valid API keys, newest first, without their secrets."""
        return list(self._call("GET", "/api-keys")["api_keys"])

    def revoke_api_key(self, key_id: str) -> None:
        self._call("DELETE", f"/api-keys/{key_id}")

    # -- webhooks

    def set_webhook(
        self, url: str, events: Sequence[str] = (), *, rotate: bool = False
    ) -> dict[str, Any]:
        """Has `url` called for `events`, all by default. A new secret is in `secret`."""
        body = {"url": url, "events": list(events), "rotate_secret": rotate}
        return self._call("POST", "/webhooks", json=body)

    def webhooks(self) -> list[dict[str, Any]]:
        """The webhooks, oldest first, without their secrets."""
        return list(self._call("GET", "/webhooks")["webhooks"])

    def try_webhook(self, webhook_id: str) -> dict[str, Any]:
        """The outcome of a call with a test event."""
        return self._call("POST", f"/webhooks/{webhook_id}/test")

    def delete_webhook(self, webhook_id: str) -> None:
        self._call("DELETE", f"/webhooks/{webhook_id}")

    # -- images

    def upload(self, path: Path, *, keep_location: bool = False, recipe: str | None = None) -> str:
        """Uploads a photo; the upload's id. `recipe` is the name of one that the lab has."""
        form = self.upload_form(path, keep_location=keep_location, recipe=recipe)
        self.post_form(form, path)
        return str(form["id"])

    def upload_form(
        self, path: Path, *, keep_location: bool = False, recipe: str | None = None
    ) -> dict[str, Any]:
        """A form for one upload of the photo at `path`."""
        return self._call(
            "POST",
            "/uploads",
            json={
                "filename": path.name,
                "content_type": content_type(path),
                "bytes": path.stat().st_size,
                "keep_location": keep_location,
                **({} if recipe is None else {"recipe": recipe}),
            },
        )

    def post_form(self, form: dict[str, Any], path: Path) -> None:
        """Posts a photo with an upload form, again where the storage fails or does not answer: a
        form is for one upload, so a second one changes nothing. Raises PermanentError when the
        storage rejects the photo, TransientError when it goes on failing."""

        def post() -> httpx.Response:
            with path.open("rb") as content:
                return self._http.post(
                    form["url"],
                    data=form["fields"],
                    files={"file": (path.name, content, form["fields"]["Content-Type"])},
                    timeout=UPLOAD_TIMEOUT_SECONDS,
                )

        answer = self._sent(post, at=form["url"], repeatable=True)
        if not answer.is_success:
            raise PermanentError(
                f"expected the storage to take {path.name}, got {answer.status_code}: "
                f"{answer.text[:300]}"
            )

    def images(self) -> Iterator[dict[str, Any]]:
        """All images, newest first."""
        yield from self._pages("/images", "images")

    def image_of(self, upload: str) -> dict[str, Any] | None:
        """The image that an upload became; None while that is not known."""
        found = self._call("GET", "/images", params={"upload": upload})["images"]
        return dict(found[0]) if found else None

    def developed(self, upload: str, seconds: float = DEVELOPED_SECONDS) -> dict[str, Any]:
        """The image that an upload became, when it is developed or rejected. Waits for it."""
        give_up_at = time.monotonic() + seconds
        while True:
            image = self.image_of(upload)
            if image is not None and image["status"] != "developing":
                return image
            if time.monotonic() > give_up_at:
                raise TransientError(f"upload {upload} was not developed within {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def image(self, image_id: str) -> dict[str, Any]:
        return self._call("GET", f"/images/{quote(image_id, safe='')}")

    def delete_image(self, image_id: str) -> None:
        self._call("DELETE", f"/images/{quote(image_id, safe='')}")

    # -- orders

    def products(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/products")["products"])

    def order(
        self,
        lines: Sequence[dict[str, Any]],
        payment_method: str,
        delivery: dict[str, Any],
        key: str | None = None,
    ) -> dict[str, Any]:
        """Orders prints. With a `key` it may be repeated, and is when no answer comes: the order is
        the same."""
        return self._call(
            "POST",
            "/orders",
            json={"lines": list(lines), "payment_method": payment_method, "delivery": delivery},
            headers={"idempotency-key": key} if key is not None else {},
            repeatable=key is not None,
        )

    def orders(self) -> Iterator[dict[str, Any]]:
        """All orders, newest first."""
        yield from self._pages("/orders", "orders")

    def order_of(self, order_id: str) -> dict[str, Any]:
        return self._call("GET", f"/orders/{quote(order_id, safe='')}")

    def cancel_order(self, order_id: str) -> dict[str, Any]:
        return self._call("POST", f"/orders/{quote(order_id, safe='')}/cancellation")

    def ended(
        self,
        order_id: str,
        on_step: Callable[[dict[str, Any]], None] = lambda _: None,
        seconds: float = ENDED_SECONDS,
    ) -> dict[str, Any]:
        """Waits until the order has ended, and returns it. Reports each step of its history."""
        give_up_at = time.monotonic() + seconds
        reported = 0
        while True:
            order = self.order_of(order_id)
            for step in order["history"][reported:]:
                on_step(step)
            reported = len(order["history"])
            if order["status"] in ENDS:
                return order
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"order {order_id} is {order['status']} and did not end within {seconds:g} s"
                )
            time.sleep(POLL_SECONDS)

    def download(self, url: str) -> bytes:
        """What a link leads to."""
        # Without its signature, which messages must not show.
        at = url.partition("?")[0]
        answer = self._sent(lambda: self._http.get(url), at=at, repeatable=True)
        if not answer.is_success:
            raise PermanentError(f"expected a rendition, got {answer.status_code}")
        return answer.content

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            parameters = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = self._call("GET", path, params=parameters)
            yield from page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _call(
        self, method: str, path: str, *, repeatable: bool = False, **options: Any
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        answer = self._sent(
            lambda: self._http.request(method, self.url + path, headers=headers, **options),
            repeatable=repeatable,
        )
        try:
            document = answer.json() if answer.content else {}
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise PermanentError(
                f"expected Darkroom's API at {self.url}, got {answer.status_code} with "
                f"{answer.headers.get('content-type', 'something')}"
            )
        if not answer.is_success:
            raise ApiProblem(answer.status_code, document)
        return document

    def _sent(
        self, send: Callable[[], httpx.Response], *, at: str | None = None, repeatable: bool = False
    ) -> httpx.Response:
        """The answer of the server `at` an address, by default the API's; a 503 is tried again when
        it says. What got no answer or another 5xx is repeated only where it is `repeatable`:
        whether it had an effect is not known."""
        at = at or self.url
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = send()
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise PermanentError(f"expected an API's address, got {at}: {error}") from error
            except httpx.TransportError as error:
                if repeatable and attempt < ATTEMPTS:
                    time.sleep(REPEAT_SECONDS)
                    continue
                raise TransientError(f"{at} does not answer: {error!r}") from error
            unavailable = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            if not unavailable and not (repeatable and answer.is_server_error):
                break
            if attempt < ATTEMPTS:
                time.sleep(float(answer.headers.get("retry-after", "1")))
        if answer.is_server_error:
            raise TransientError(f"{at} answered {answer.status_code}: {answer.text[:300]}")
        return answer


def content_type(path: Path) -> str:
    """The media type that a file's name stands for. Raises PermanentError for no photo's."""
    found = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""
    if not found.startswith("image/"):
        raise PermanentError(
            f"expected a photo (.jpg, .png, .webp, .gif, .tiff, .heic, .avif), got {path.name}"
        )
    return found
