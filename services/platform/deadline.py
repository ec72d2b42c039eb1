"""The end of the running invocation, before which every call of a service has to end.

The wrappers in `functions` set it. Outside an invocation (initialization, command line) calls have
their own timeouts only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

# Left for the response after the last call.
RESERVE_SECONDS = 1.0
# Of the thread that handles the invocation: two of them in one process do not share it.
_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


def invocation(remaining_milliseconds: float) -> AbstractContextManager[None]:
    """The time of one invocation, which begins now."""
    return _until(time.monotonic() + remaining_milliseconds / 1000)


def reserve() -> AbstractContextManager[None]:
    """Lets a last call, which reports a failure, use the reserve."""
    return _until(_ends_at.get() + RESERVE_SECONDS)


@contextmanager
def _until(ends_at: float) -> Iterator[None]:
    before = _ends_at.set(ends_at)
    try:
        yield
    finally:
        _ends_at.reset(before)


def seconds_left() -> float:
    """Time for calls; infinite outside an invocation, negative when it is over."""
    return _ends_at.get() - RESERVE_SECONDS - time.monotonic()
