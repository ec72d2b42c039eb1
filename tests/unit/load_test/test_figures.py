"""Percentiles, cost, and the figures of a whole run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from services.load_test.figures import Architecture, dollars, figures, percentile, spread
from services.load_test.observations import Depth
from services.load_test.plan import Plan
from services.load_test.reconciliation import reconcile
from services.load_test.runner import Kill, Run, Sample
from services.load_test.target import TargetKind, WorkerGroup
from services.load_test.worker_log import Invocation, WorkerLogs, upload_of

from .examples import KEYS, OWNER, observations


def run(**changes: object) -> Run:
    """A run of three photos: 2 s, 3 s and, by the catalogue only, 4.5 s."""
    found = observations()
    invocations = (
        *(
            Invocation("process-image-1", "process-image", 102.0 + n, "success", 500.0 + n,
                       1000, 1769, 140 + n, 400.0 if n == 0 else None)
            for n in range(3)
        ),
        Invocation("send-image-email-1", "send-image-email", 106.0, "success", 50.0,
                   60, 512, 60, None),
    )  # fmt: skip
    values: dict[str, object] = {
        "plan": Plan("20261123-120000", 3, 1.0, 2, True, None, Path("folder")),
        "kind": TargetKind.CONTAINERS,
        "worker_groups": (
            WorkerGroup("process-image", 2, 1769, 1.0),
            WorkerGroup("send-image-email", 1, 512, 0.29),
        ),
        "remarks": ("The machine has 2 processors.",),
        "began": 100.0,
        "ended": 110.0,
        "uploads": found.uploads,
        "samples": (
            Sample(100.5, 1, 0, {"process-image": Depth(1, 0), "send-image-email": Depth(0, 0)}),
            Sample(107.0, 3, 3, {"process-image": Depth(0, 0), "send-image-email": Depth(0, 1)}),
        ),
        "kills": (Kill(103.0, "process-image-1"),),
        "seen": {KEYS[0]: 102.9, KEYS[1]: 105.0, KEYS[2]: 107.0},
        "logs": WorkerLogs(
            invocations,
            {upload_of(KEYS[0]): 102.5, upload_of(KEYS[1]): 104.5},
            {("process-image", "m"): 2},
            1,
        ),
        "unconfirmed_emails": (),
        "reconciliation": reconcile(found),
    }
    return Run(**values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100), (0.001, 1), (0.505, 51)]
)
def test_percentile_of_many_values_uses_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_percentile_of_no_values_raises() -> None:
    with pytest.raises(ValueError, match="got none"):
        percentile([], 0.5)
    assert spread([]) is None


def test_spread_of_unsorted_values_is_sorted() -> None:
    found = spread([3.0, 1.0, 2.0])
    assert found is not None
    assert (found.p50, found.p90, found.maximum, found.count) == (2.0, 3.0, 3.0, 3)


def test_dollars_match_hand_calculation() -> None:
    # A million requests of 1 s at 1 GiB: a million GB-seconds and the requests' 20 cents.
    assert dollars(1_000_000, 1_000_000_000, 1024, Architecture.X86) == pytest.approx(16.8667)
    assert dollars(1_000_000, 1_000_000_000, 1024, Architecture.ARM) == pytest.approx(13.5334)
    assert dollars(0, 0, 1024, Architecture.X86) == 0


def test_figures_of_run_match_hand_calculation() -> None:
    found = figures(run())
    assert found.latency is not None
    assert (found.latency.p50, found.latency.maximum, found.latency.count) == (3.0, 4.5, 3)
    assert found.by_log == 2
    assert found.seconds == pytest.approx(6.9)
    assert found.throughput == pytest.approx(3 / 6.9)
    assert found.upload_rate == pytest.approx(3 / 2.4)
    assert found.behind == pytest.approx(0.1)
    assert found.redeliveries == 1
    developer, mailer = found.functions
    assert (developer.invocations, developer.billed_ms, mailer.billed_ms) == (3, 1503, 60)
    assert developer.init_ms is not None
    assert developer.init_ms.count == 1
    assert mailer.init_ms is None
    assert [(w.worker, w.kills, w.peak_mib) for w in found.workers] == [
        ("process-image-1", 1, 142),
        ("send-image-email-1", 0, 60),
    ]
    # 3 photos: 1.503 s at 1769 MiB without the cold start, 0.06 s at 512 MiB, four requests.
    x86 = (1.503 * 1769 / 1024 + 0.06 * 0.5) * 0.0000166667 + 4 * 0.2e-6
    assert found.dollars[Architecture.X86] == pytest.approx(x86 / 3 * 1e6)
    assert found.requests == pytest.approx(4 / 3 * 1e6)


def test_figures_of_two_owners_have_the_waiting_of_each() -> None:
    of_one = run()
    assert figures(of_one).waiting == {}
    plan = dataclasses.replace(of_one.plan, other_owner=1)
    moved = dataclasses.replace(of_one.uploads[2], key=KEYS[2].replace(OWNER, plan.second_owner, 1))
    first = [
        dataclasses.replace(u, key=u.key.replace(OWNER, plan.owner, 1)) for u in of_one.uploads[:2]
    ]
    seen = {first[0].key: 102.5, first[1].key: 104.5, moved.key: 107.0}
    found = figures(run(plan=plan, uploads=(*first, moved), seen=seen))
    assert found.waiting[plan.owner].maximum == pytest.approx(3.0)
    assert found.waiting[plan.second_owner].maximum == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("warm", "left_out", "billed_ms"), [(98, True, 99 * 500), (99, False, 99 * 500 + 900)]
)
def test_figures_price_cold_starts_only_of_a_run_that_tells_their_rate(
    warm: int, left_out: bool, billed_ms: int
) -> None:
    def invocation(billed: int, init_ms: float | None) -> Invocation:
        return Invocation(
            "worker-1", "process-image", 102.0, "success", 500.0, billed, 1769, 140, init_ms
        )

    logs = WorkerLogs((invocation(900, 400.0), *[invocation(500, None)] * warm), {}, {}, 0)
    found = figures(run(logs=logs))
    (function,) = found.functions
    assert found.cold_starts_left_out == (("process-image",) if left_out else ())
    assert function.billed_ms == billed_ms


def test_figures_of_worker_with_two_functions_are_separate() -> None:
    invocations = (
        Invocation("worker-1", "process-image", 102.0, "success", 500.0, 500, 1769, 140, None),
        Invocation("worker-1", "send-image-email", 103.0, "success", 50.0, 50, 512, 60, None),
    )
    kills = (Kill(103.0, "worker-1"),)
    found = figures(run(logs=WorkerLogs(invocations, {}, {}, 0), kills=kills))
    assert [
        (w.function, w.invocations, w.kills, w.peak_mib, w.memory_mib) for w in found.workers
    ] == [
        ("process-image", 1, 1, 140, 1769),
        ("send-image-email", 1, 1, 60, 512),
    ]


def test_figures_of_empty_run_are_zero() -> None:
    found = figures(run(uploads=(), samples=(), kills=(), seen={}, logs=WorkerLogs((), {}, {}, 0)))
    assert found.latency is None
    assert found.throughput == 0.0
    assert found.functions == ()


def test_latency_of_photo_settled_before_upload_response_is_zero() -> None:
    found = figures(
        run(logs=WorkerLogs((), {upload_of(KEYS[0]): 99.0}, {}, 0), seen={KEYS[0]: 103.0})
    )
    assert found.latency is not None
    assert found.latency.maximum == 0.0
