"""Exponential back-off with jitter: calls that failed together are not repeated together."""

from __future__ import annotations

import random
from collections.abc import Callable

_random = random.SystemRandom().random


def pause(
    attempt: int, base_seconds: float, cap_seconds: float, draw: Callable[[], float] = _random
) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): between half and all of
    `base * 2^(attempt-1)`, never more than the cap.
    """
    # 2^40 s exceeds any cap; the bound avoids an overflow for a huge receive count.
    whole = min(cap_seconds, base_seconds * 2.0 ** min(attempt - 1, 40))
    return whole / 2 + whole / 2 * draw()
