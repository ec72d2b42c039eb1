"""The token bucket."""

from __future__ import annotations

from services.gateway.throttle import Throttle


def test_a_burst_and_then_the_rate() -> None:
    now = [100.0]
    throttle = Throttle(2, 3, lambda: now[0])
    assert [throttle.allows() for _ in range(4)] == [True, True, True, False]
    now[0] += 0.4
    assert not throttle.allows()
    now[0] += 0.1
    assert throttle.allows()
    assert not throttle.allows()
    now[0] += 3600
    assert [throttle.allows() for _ in range(4)] == [True, True, True, False]
