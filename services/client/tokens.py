"""Keeps the tokens of `darkroom login` in a file that only its owner can read: that of the session,
one an API, and those of the device, one an API and account."""

from __future__ import annotations

import json
import os
from pathlib import Path

_OWNER_ONLY = 0o600


def default_file() -> Path:
    """Where the XDG base directories put it: https://specifications.freedesktop.org/basedir-spec/"""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "darkroom" / "sessions.json"


def of_device(api: str, email: str) -> str:
    """The name, in place of the API's, under which an account's device token is kept."""
    return f"{api} {email.lower()}"


def token(api: str, file: Path) -> str | None:
    """The token for `api`; None without a sign-in."""
    return _read(file).get(api)


def keep(api: str, value: str | None, file: Path) -> None:
    """Keeps `value` as the token for `api`; None forgets it."""
    tokens = _read(file)
    tokens.pop(api, None)
    if value is not None:
        tokens[api] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=_OWNER_ONLY)
    draft.write_text(json.dumps(tokens), encoding="utf-8")
    draft.replace(file)


def _read(file: Path) -> dict[str, str]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(k): str(v) for k, v in document.items()} if isinstance(document, dict) else {}
