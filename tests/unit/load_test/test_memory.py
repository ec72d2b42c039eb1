"""Lines through the memory of a run."""

from __future__ import annotations

import dataclasses

import pytest

from services.load_test.memory import POINTS_MIN, Growth, growth
from services.load_test.observations import Depth
from services.load_test.runner import Kill, Sample
from services.load_test.worker_log import Invocation

from .test_figures import run

SAMPLES = 200


def sample(number: int, mib: float) -> Sample:
    return Sample(100.0 + number, number, number, {"process-image": Depth(0, 0)}, {"worker": mib})


def of_worker(*samples: Sample, kills: tuple[Kill, ...] = ()) -> list[Growth]:
    return [
        found for found in growth(run(samples=samples, kills=kills)) if found.process == "worker"
    ]


def test_growth_is_the_slope_of_the_samples() -> None:
    (found,) = of_worker(*(sample(n, 50 + 0.02 * n) for n in range(SAMPLES)))
    assert found.mib_per_thousand_photos == pytest.approx(20.0)
    assert found.last_mib == pytest.approx(50 + 0.02 * (SAMPLES - 1))


def test_memory_that_settles_during_the_first_photos_is_flat() -> None:
    (found,) = of_worker(*(sample(n, 20.0 if n < SAMPLES // 10 else 60.0) for n in range(SAMPLES)))
    assert found.mib_per_thousand_photos == pytest.approx(0.0, abs=0.5)
    assert found.first_mib == pytest.approx(60.0, abs=0.5)


def test_samples_after_the_first_kill_do_not_count() -> None:
    # A worker that has started anew is small.
    samples = [sample(n, 60.0 if n < SAMPLES // 2 else 10.0) for n in range(SAMPLES)]
    (found,) = of_worker(*samples, kills=(Kill(100.0 + SAMPLES // 2, "worker"),))
    assert found.mib_per_thousand_photos == pytest.approx(0.0, abs=1e-6)


def test_few_samples_say_nothing() -> None:
    assert of_worker(*(sample(n, 50.0) for n in range(POINTS_MIN - 1))) == []


def test_growth_of_environments_comes_from_their_invocations() -> None:
    invocations = tuple(
        Invocation("worker", "process-image", 100.0 + n, "success", 5.0, 5, 1769, 100 + n, None)
        for n in range(SAMPLES)
    )
    logs = dataclasses.replace(run().logs, invocations=invocations)
    (found,) = growth(run(samples=(), kills=(), logs=logs))
    assert found.process == "environments of process-image"
    assert found.mib_per_thousand_photos == pytest.approx(1000.0)
