"""Signals during a run and during its clean-up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from services.operations.signals import ignore_signals, terminated_like_interrupted

ENDING = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of the test process, restored after the test."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.getsignal(number)) for number in numbers]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@ENDING
def test_terminated_like_interrupted_signal_raises_keyboard_interrupt(
    number: signal.Signals,
) -> None:
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_DFL


@ENDING
def test_terminated_like_interrupted_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with terminated_like_interrupted():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_ignore_signals_signal_during_clean_up_is_dropped(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with ignore_signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before
