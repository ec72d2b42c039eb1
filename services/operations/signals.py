"""Ctrl-C, SIGTERM and SIGHUP end a run early, but never interrupt its clean-up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What ends a process from outside: `kill`, `timeout`, a machine that shuts down; a closed terminal.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignores SIGINT, SIGTERM and SIGHUP within a `with` block, so that clean-up completes. A
    signal that arrives there is dropped, not delivered later. In other threads than the main one:
    no effect."""
    with _handled((signal.SIGINT, *_ENDING), signal.SIG_IGN):
        yield


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raises KeyboardInterrupt on SIGTERM and SIGHUP in a `with` block, so that `finally` blocks
    run. Signals that are ignored stay ignored, as SIGHUP under `nohup`. In other threads than the
    main one: no effect."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [n for n in _ENDING if signal.getsignal(n) is not signal.SIG_IGN]
    with _handled(numbers, interrupt):
        yield


@contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, previous in before:
            signal.signal(number, previous)
