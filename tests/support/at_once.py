"""Runs calls concurrently."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.waiting import scaled


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Starts all calls at the same moment; returns their results or exceptions, in order."""
    start = threading.Barrier(len(calls), timeout=scaled(20))
    outcomes: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        start.wait()
        try:
            outcomes[number] = call()
        except Exception as error:  # noqa: BLE001  the caller checks it
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(30))
    assert not any(thread.is_alive() for thread in threads)
    return outcomes
