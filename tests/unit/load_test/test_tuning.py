"""The memory of a function: figures, choice, CPU share, and what is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.cli.tune import _sizes, apply_memory
from services.load_test.tuning.choice import (
    Figures,
    Sample,
    Strategy,
    choose,
    figures,
    percentile,
    trimmed_mean,
)
from services.load_test.tuning.cpu_share import CpuShare
from services.load_test.tuning.report import draw, page
from services.operations.cost.prices import Prices
from services.operations.cost.usage import Architecture
from services.platform.errors import PermanentError

PRICES = Prices(
    "2026-11-27", "us-east-1", {"lambda_request": 2e-7, "lambda_gib_second_arm64": 1e-5}
)


def size(memory: int, warm: float, dollars: float, peak: float = 50, failures: int = 0) -> Figures:
    return Figures(memory, warm, warm, warm, peak, dollars, failures)


# Twice the memory and less than half the time: larger is cheaper, up to one CPU.
SMALL, MIDDLE, LARGE = size(512, 900, 4.70), size(1769, 240, 4.35), size(3008, 230, 6.96)


def test_figures_match_hand_calculation() -> None:
    sample = Sample(
        memory_mib=2048,
        init_ms=(300, 200, 250),
        cold_ms=(100, 130, 110),
        warm_ms=(10, 100, 100, 101, 1000),
        peak_mib=60.5,
        failures=0,
    )
    found = figures(sample, PRICES, Architecture.ARM)
    # (100 + 100 + 101) / 3 = 100.33 ms, billed as 101 ms: 0.101 s x 2 GiB x 1e-5 + 2e-7 a call.
    assert found.warm_ms == pytest.approx(100.333, abs=0.001)
    assert found.dollars == pytest.approx(1e6 * (0.101 * 2 * 1e-5 + 2e-7))
    assert found.p95_ms == 1000
    assert found.cold_ms == 360
    assert found.enough


@pytest.mark.parametrize(
    ("strategy", "memory"),
    [(Strategy.COST, 1769), (Strategy.SPEED, 1769), (Strategy.BALANCED, 1769)],
)
def test_more_memory_is_chosen_where_it_costs_less(strategy: Strategy, memory: int) -> None:
    assert choose([SMALL, MIDDLE, LARGE], strategy).figures.memory_mib == memory


def test_strategies_choose_differently() -> None:
    sizes = [size(512, 1000, 1.0), size(1024, 500, 1.2), size(2048, 300, 2.5)]
    chosen = [choose(sizes, strategy).figures.memory_mib for strategy in Strategy]
    assert chosen == [512, 2048, 1024]


def test_size_with_failures_or_little_free_memory_is_not_chosen() -> None:
    sizes = [size(128, 10, 0.1, failures=1), size(256, 20, 0.2, peak=210), size(512, 30, 0.3)]
    assert choose(sizes, Strategy.COST).figures.memory_mib == 512
    with pytest.raises(PermanentError, match="no memory size is enough"):
        choose(sizes[:2], Strategy.COST)


def test_mean_and_percentile() -> None:
    assert trimmed_mean([1, 2, 3]) == 2
    assert trimmed_mean([0, 5, 5, 5, 100]) == 5
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([7], 95) == 7


def test_cpu_share_is_lambdas_in_both_versions_of_control_groups(tmp_path: Path) -> None:
    two = tmp_path / "two"
    two.mkdir()
    (two / "cgroup.controllers").write_text("cpu")
    share = CpuShare(1769, two)
    (group,) = [path for path in two.iterdir() if path.is_dir()]
    assert (group / "cpu.max").read_text() == "100000 100000"
    share.add(os.getpid())
    assert str(os.getpid()) in (group / "cgroup.procs").read_text()
    one = tmp_path / "one"
    (one / "cpu").mkdir(parents=True)
    CpuShare(885, one)
    (group,) = (one / "cpu").iterdir()
    assert (group / "cpu.cfs_quota_us").read_text() == "50028"


def test_cpu_share_without_the_right_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="run `darkroom tune` as root"):
        CpuShare(1769, tmp_path / "missing")


def test_apply_replaces_the_memory_and_its_comment(tmp_path: Path) -> None:
    file = tmp_path / "function.yaml"
    file.write_text("feature: photos\nmemory_mib: 1769 # one CPU\ntimeout_seconds: 60\n")
    apply_memory(file, 2048, Strategy.SPEED)
    assert file.read_text() == (
        "feature: photos\nmemory_mib: 2048 # by darkroom tune --strategy speed\n"
        "timeout_seconds: 60\n"
    )
    file.write_text("feature: photos\n")
    with pytest.raises(PermanentError, match="expected one line memory_mib"):
        apply_memory(file, 2048, Strategy.SPEED)


@pytest.mark.parametrize("text", ["", "512,", "64", "512,x", "20000"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(PermanentError, match=r"--memory must be whole numbers 128\.\.10240"):
        _sizes(text)


def test_page_and_chart_show_the_choice(tmp_path: Path) -> None:
    sizes = [SMALL, MIDDLE, LARGE]
    choice = choose(sizes, Strategy.COST)
    draw("process-image", sizes, choice, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    text = page("process-image", sizes, choice, tmp_path / "a.png")
    assert "<b>1769 MiB</b>: cheapest: USD 4.35 a million" in text
    assert text.count("<tr") == 1 + len(sizes)
    assert "http" not in text
