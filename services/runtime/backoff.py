"""Pauses that grow, with jitter, so that what failed together does not come back together."""

from __future__ import annotations

import random
from collections.abc import Callable

_random = random.SystemRandom().random


def pause(
    attempt: int, base_seconds: float, cap_seconds: float, draw: Callable[[], float] = _random
) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): between half and all of
    `base * 2^(attempt-1)`, never more than the cap. Half is kept so that a retry is never at once.
    """
    # 2^40 s is beyond any cap; the bound keeps a huge receive count from making a huge number.
    whole = min(cap_seconds, base_seconds * 2.0 ** min(attempt - 1, 40))
    return whole / 2 + whole / 2 * draw()
