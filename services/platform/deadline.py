"""The end of the running invocation, before which every call of a service has to end.

The wrappers in `functions` set it. Outside an invocation (initialization, command line) calls have
their own timeouts only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

# Left for the response after the last call.
RESERVE_SECONDS = 1.0
_ends_at = math.inf


def invocation(remaining_milliseconds: float) -> AbstractContextManager[None]:
    """The time of one invocation, which begins now."""
    return _until(time.monotonic() + remaining_milliseconds / 1000)


def reserve() -> AbstractContextManager[None]:
    """Lets a last call, which reports a failure, use the reserve."""
    return _until(_ends_at + RESERVE_SECONDS)


@contextmanager
def _until(ends_at: float) -> Iterator[None]:
    global _ends_at
    before, _ends_at = _ends_at, ends_at
    try:
        yield
    finally:
        _ends_at = before


def seconds_left() -> float:
    """Time for calls; infinite outside an invocation, negative when it is over."""
    return _ends_at - RESERVE_SECONDS - time.monotonic()
