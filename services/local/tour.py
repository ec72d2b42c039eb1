"""The way of a new customer through the API, step by step, for the demo."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.local.terminal import page
from services.operations.customer.client import Api


@dataclass(frozen=True)
class Step:
    """One call of the API: what it was, what came of it, in how many milliseconds."""

    call: str
    outcome: str
    milliseconds: float


@dataclass
class Tour:
    """A customer who signs up, uploads a photo, looks at it, deletes it and signs out."""

    api: Api
    _last: Any = None

    def go(self, photo: Path) -> Iterator[Step]:
        """Takes the steps, and gives each as soon as it is done."""
        name = f"visitor-{secrets.token_hex(4)}"
        email, password = f"{name}@darkroom.example", secrets.token_urlsafe(16)
        yield self._step(
            "POST /users",
            lambda: self.api.sign_up(email, "A visitor", password),
            lambda user: f"account {user['email']}",
        )
        yield self._step(
            "POST /sessions",
            lambda: self.api.sign_in(email, password),
            lambda session: f"signed in until {session['expires_at'][:10]}",
        )
        yield self._step(
            "POST /uploads, then the form",
            lambda: self.api.upload(photo),
            lambda upload: f"{photo.name} is upload {upload[:8]}...",
        )
        upload = self._last
        yield self._step(
            "GET /images?upload=...",
            lambda: self.api.developed(upload),
            lambda image: f"{image['status']}, {image['width']} x {image['height']} pixels",
        )
        image_id = self._last["id"]
        yield self._step(
            "GET /images/{id}",
            lambda: self.api.image(image_id),
            lambda image: f"{len(image['renditions'])} private links",
        )
        link = self._last["renditions"][0]["url"]
        yield self._step(
            "GET a rendition's link",
            lambda: self.api.download(link),
            lambda content: f"{len(content):,} bytes",
        )
        yield self._step(
            "DELETE /images/{id}",
            lambda: self.api.delete_image(image_id),
            lambda _: "gone from the list: " + ("yes" if not list(self.api.images()) else "NO"),
        )
        yield self._step(
            "DELETE /sessions/current", lambda: self.api.sign_out(), lambda _: "signed out"
        )

    def _step(self, call: str, act: Callable[[], Any], outcome: Callable[[Any], str]) -> Step:
        started = time.monotonic()
        self._last = act()
        milliseconds = (time.monotonic() - started) * 1000
        return Step(call, outcome(self._last), milliseconds)


def take(api_url: str, photo: Path, on_step: Callable[[Step], None]) -> tuple[Step, ...]:
    """Goes the way with `photo`; calls `on_step` after each step."""
    steps = []
    with closing(Api(api_url)) as api:
        for step in Tour(api).go(photo):
            on_step(step)
            steps.append(step)
    return tuple(steps)


def show(steps: Sequence[Step], api_url: str) -> None:
    """Prints the steps."""
    page.print(f"\n[bold]A new customer, by HTTP alone[/] ({api_url}):")
    table = Table("call", "what came of it", "ms", box=None, pad_edge=False, header_style="bold")
    table.columns[2].justify = "right"
    for step in steps:
        table.add_row(escape(step.call), escape(step.outcome), f"{step.milliseconds:.0f}")
    page.print(table)
