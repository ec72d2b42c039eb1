"""An emulator whose e-mails go to a folder, and which can restart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local import emulator as emulators


@dataclass
class MailingEmulator:
    """A running emulator, its log and its options."""

    running: emulators.Emulator
    log: Path
    options: emulators.EmulatorOptions

    @property
    def endpoint(self) -> str:
        return self.running.endpoint

    def restart(self) -> None:
        """Stops the emulator and starts it again, with the state in its folder if it has one."""
        emulators.stop(self.running)
        self.running = emulators.launch(self.running.port, self.log, self.options)
        emulators.wait_until_healthy(self.running, self.log)


@contextmanager
def emulator_with_mailbox(
    folder: Path, mail: Path, data_folder: Path | None = None
) -> Iterator[MailingEmulator]:
    """An emulator with its log in `folder`, for a `with` block; its e-mails are files in `mail`.
    Its state is kept in `data_folder`, if given."""
    log, smtp_port = folder / "emulator.log", emulators.free_port()
    command = [sys.executable, "-m", "services.local.mailbox", str(mail), str(smtp_port)]
    mailbox = subprocess.Popen(command)
    options = emulators.EmulatorOptions(smtp_port=smtp_port, data_folder=data_folder)
    emulator = MailingEmulator(emulators.launch(emulators.free_port(), log, options), log, options)
    try:
        emulators.wait_until_healthy(emulator.running, log)
        yield emulator
    finally:
        emulators.stop(emulator.running)
        mailbox.terminate()
        mailbox.wait()
