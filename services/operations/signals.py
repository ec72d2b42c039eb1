"""Ctrl-C and SIGTERM end a run early, but never interrupt its clean-up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignores SIGINT and SIGTERM within a `with` block, so that clean-up completes. A signal that
    arrives there is dropped, not delivered later. In other threads than the main one: no effect."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(n, signal.signal(n, signal.SIG_IGN)) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raises KeyboardInterrupt on SIGTERM in a `with` block, so that the run cleans up first."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
