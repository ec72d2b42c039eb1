"""Gives a process the CPU that Lambda gives a memory size, by a control group."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from services.platform.errors import PermanentError
from services.platform.manifest import MIB_PER_CPU

PERIOD_US = 100_000
_ROOT = Path("/sys/fs/cgroup")


class CpuShare:
    """A control group with a CPU quota, of version 2 or 1. Its processes must have ended before
    `close`. Raises PermanentError where this user may not make one."""

    def __init__(self, memory_mib: int, root: Path = _ROOT) -> None:
        version_2 = (root / "cgroup.controllers").is_file()
        self._folder = (root if version_2 else root / "cpu") / f"darkroom-tune-{os.getpid()}"
        quota = round(PERIOD_US * memory_mib / MIB_PER_CPU)
        try:
            self._folder.mkdir(exist_ok=True)
            if version_2:
                (self._folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            else:
                (self._folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self._folder / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            raise PermanentError(
                f"cannot make the control group {self._folder} ({error.strerror}); run `darkroom "
                "tune` as root, on a machine with control groups"
            ) from None

    def add(self, pid: int) -> None:
        """Limits a process and those that it has started or starts."""
        (self._folder / "cgroup.procs").write_text(str(pid))
        for thread in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in thread.read_text(encoding="ascii").split():
                with suppress(OSError):  # it has ended
                    self.add(int(child))

    def close(self) -> None:
        """Removes the group."""
        with suppress(OSError):
            self._folder.rmdir()
