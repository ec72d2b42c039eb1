"""The secrets of one lab: random, and stored only when the lab's data are kept."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from services.local.emulator import Credentials, random_credentials
from services.local.provision import Payments


@dataclass(frozen=True)
class LabSecrets:
    """The emulator's root access key and the account with the payment sandbox."""

    cloud: Credentials
    payments: Payments


def load_secrets(file: Path, *, keep: bool) -> LabSecrets:
    """New secrets; with `keep` those in `file`, which is created with mode 0600."""
    if keep and file.exists():
        document = json.loads(file.read_text(encoding="utf-8"))
        return LabSecrets(Credentials(**document["cloud"]), Payments(**document["payments"]))
    made = LabSecrets(
        random_credentials(), Payments(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    )
    if keep:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(dataclasses.asdict(made), opened)
    else:
        file.unlink(missing_ok=True)
    return made
