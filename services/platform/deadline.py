"""The end of the running invocation, before which every call of a service has to end.

The wrappers in `functions` set it. Outside an invocation (initialization, command line) calls have
their own timeouts only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Left for the response after the last call.
RESERVE_SECONDS = 1.0
_ends_at = math.inf


@contextmanager
def invocation(remaining_milliseconds: float) -> Iterator[None]:
    """The time of one invocation, which begins now."""
    global _ends_at
    _ends_at = time.monotonic() + remaining_milliseconds / 1000
    try:
        yield
    finally:
        _ends_at = math.inf


def seconds_left() -> float:
    """Time for calls; infinite outside an invocation, negative when it is over."""
    return _ends_at - RESERVE_SECONDS - time.monotonic()
