"""The simulation of Lambda's scaling against queueing theory."""

from __future__ import annotations

import itertools
import random

import pytest

from services.load_test.scaling import Durations, Ramp, burst_seconds, erlang_c_wait, simulate

FIXED = Durations(warm_ms=[200.0], init_ms=[0.0])


def servers(count: int) -> Ramp:
    return Ramp(initial=count, maximum=count)


@pytest.mark.parametrize(("count", "load"), [(1, 0.7), (5, 0.8), (20, 0.9)])
def test_simulate_poisson_arrivals_wait_as_erlang_c_says(count: int, load: float) -> None:
    chance = random.Random(1)
    rate = load * count / 0.2
    arrivals = list(itertools.accumulate(chance.expovariate(rate) for _ in range(200_000)))
    durations = Durations([chance.expovariate(1 / 200) for _ in range(50_000)], [0.0])
    found = simulate(arrivals, servers(count), durations, seed=2)
    expected = erlang_c_wait(rate, durations.mean_seconds, count)
    assert found.mean_wait_seconds == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("maximum", [20, 100, 1250])
def test_simulate_burst_takes_as_long_as_the_fluid_limit(maximum: int) -> None:
    found = simulate([0.0] * 100_000, Ramp(maximum=maximum), FIXED, seed=1)
    expected = burst_seconds(100_000, Ramp(maximum=maximum), 0.2)
    assert found.seconds == pytest.approx(expected, rel=0.02)
    assert found.environments <= maximum


def test_simulate_light_load_uses_one_environment_and_never_waits() -> None:
    found = simulate([float(second) for second in range(100)], Ramp(), FIXED, seed=1)
    assert (found.environments, found.peak_age_seconds) == (1, 0.0)
    assert found.billed_ms == 100 * 200


def test_simulate_first_invocation_of_an_environment_takes_its_initialisation() -> None:
    found = simulate([0.0, 0.0], servers(2), Durations([100.0], [300.2]), seed=1)
    assert found.seconds == pytest.approx(0.4002)
    assert found.billed_ms == 2 * 401


def test_backlog_falls_from_all_messages_to_none() -> None:
    found = simulate([0.0] * 1_000, servers(10), FIXED, seed=1)
    counts = [waiting for _, waiting in found.backlog]
    assert counts[0] == 990
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


def test_erlang_c_wait_of_one_server_is_that_of_m_m_1() -> None:
    assert erlang_c_wait(4.0, 0.2, 1) == pytest.approx(0.8 * 0.2 / 0.2)


def test_erlang_c_wait_overload_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        erlang_c_wait(10.0, 0.2, 2)


def test_simulate_no_arrivals_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one arrival"):
        simulate([], Ramp(), FIXED, seed=1)
