"""Resident memory of another process: now, and its peak since the last reset."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


class MemoryProbe:
    """Reads `/proc/<pid>`; see proc(5).

    The peak is the kernel's own (VmHWM), reset between invocations through `clear_refs` where that
    is allowed; where it is not, it is the highest since the process started. Without /proc (macOS)
    it is the highest of the samples that `ps` gave. Memory of child processes is not counted.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._sampled_mib = 0.0
        self._statm = self._status = self._clear_refs = None
        if not sys.platform.startswith("linux"):
            return
        folder = Path("/proc") / str(pid)
        try:
            # Unbuffered and kept open: each read at offset 0 gives the figures of the moment.
            self._statm = (folder / "statm").open("rb", buffering=0)
            self._status = (folder / "status").open("rb", buffering=0)
            self._clear_refs = (folder / "clear_refs").open("wb", buffering=0)
        except OSError:
            return

    def resident_mib(self) -> float:
        """Resident memory now; 0 when the process is gone."""
        try:
            if self._statm is not None:
                pages = os.pread(self._statm.fileno(), 256, 0).split()
                return int(pages[1]) * _PAGE / _MIB if len(pages) > 1 else 0.0
            self._sampled_mib = max(self._sampled_mib, sampled := _ps_mib(self._pid))
        except OSError:
            return 0.0
        return sampled

    def peak_mib(self) -> float:
        """The peak since the last reset; 0 when the process is gone."""
        if self._status is None:
            self.resident_mib()
            return self._sampled_mib
        try:
            status = os.pread(self._status.fileno(), 8192, 0)
        except OSError:
            return 0.0
        at = status.find(b"VmHWM:")
        return int(status[at + 6 :].split(maxsplit=1)[0]) / 1024 if at >= 0 else 0.0

    def reset_peak(self) -> None:
        """Lets the peak start from what is resident now, where the system allows it."""
        if self._clear_refs is None:
            return
        try:
            os.pwrite(self._clear_refs.fileno(), b"5", 0)
        except OSError:
            self._clear_refs.close()
            self._clear_refs = None

    def close(self) -> None:
        for file in (self._statm, self._status, self._clear_refs):
            if file is not None:
                file.close()
        self._statm = self._status = self._clear_refs = None


def resident_mib(pid: int) -> float:
    """Resident memory of the process now; 0 when it is gone."""
    probe = MemoryProbe(pid)
    try:
        return probe.resident_mib()
    finally:
        probe.close()


def _ps_mib(pid: int) -> float:
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=False, timeout=5
    )
    text = answer.stdout.strip()
    return int(text) / 1024 if text.isdigit() else 0.0
