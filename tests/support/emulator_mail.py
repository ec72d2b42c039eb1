"""An emulator whose e-mails go to a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.local import emulator as emulators


@contextmanager
def emulator_with_mailbox(folder: Path, mail: Path) -> Iterator[emulators.Emulator]:
    """An emulator with its log in `folder`, for a `with` block; its e-mails are files in `mail`."""
    log, smtp_port = folder / "emulator.log", emulators.free_port()
    command = [sys.executable, "-m", "services.local.mailbox", str(mail), str(smtp_port)]
    mailbox = subprocess.Popen(command)
    options = emulators.EmulatorOptions(smtp_port=smtp_port)
    emulator = emulators.launch(emulators.free_port(), log, options)
    try:
        emulators.wait_until_healthy(emulator, log)
        yield emulator
    finally:
        emulators.stop(emulator)
        mailbox.terminate()
        mailbox.wait()
