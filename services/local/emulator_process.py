"""Runs MiniStack with what the lab adds to it: `python -m services.local.emulator_process`.

- Requests of web pages from foreign origins are refused: MiniStack answers every origin, so any
  page in a browser could read the lab's secrets. EMULATOR_ORIGINS lists the allowed origins.
- With PERSIST_STATE=1 the state is saved every AUTOSAVE_SECONDS while requests come in, not only at
  a clean stop. A kill loses at most the changes since then. Objects are on disk at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

AUTOSAVE_SECONDS = 1.0
ORIGINS_VARIABLE = "EMULATOR_ORIGINS"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def guarded(application: Application, origins: frozenset[str], save: Callable[[], None]) -> Any:
    """`application` with the origin check; `save` is called after changes, at most once in
    AUTOSAVE_SECONDS."""
    changed = asyncio.Event()

    async def autosave() -> None:
        while True:
            await changed.wait()
            await asyncio.sleep(AUTOSAVE_SECONDS)
            changed.clear()
            save()

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            saving = asyncio.create_task(autosave())
            try:
                await application(scope, receive, send)
            finally:
                saving.cancel()
                with suppress(asyncio.CancelledError):
                    await saving
            return
        if scope["type"] == "http":
            if _foreign(scope, origins):
                await _refuse(send)
                return
            if not scope["path"].startswith("/_ministack/"):
                changed.set()
        await application(scope, receive, send)

    return run


def _foreign(scope: Scope, origins: frozenset[str]) -> bool:
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return any(origin not in origins for origin in named)


async def _refuse(send: Send) -> None:
    body = b"the lab's emulator takes no requests from this origin\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    from ministack import app as ministack
    from ministack.core.persistence import PERSIST_STATE, save_all

    def save() -> None:
        if PERSIST_STATE:
            save_all(ministack._build_persistence_save_dict())

    origins = frozenset(filter(None, os.environ.get(ORIGINS_VARIABLE, "").split(",")))
    ministack.app = guarded(ministack.app, origins, save)
    ministack.main()


if __name__ == "__main__":
    main()
