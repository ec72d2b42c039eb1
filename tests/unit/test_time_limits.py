"""The time limits of tests come from tests.support.waiting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import waiting

TESTS = Path(__file__).resolve().parents[1]
# A number as a limit of a wait: it would not grow with the machine's slowness.
LITERAL = re.compile(
    r"\b(?:timeout=|join\(|wait\()[1-9]\d*(?:\.\d+)?[,)]"
    r"|(?:deadline|give_up_at|ends?_at) = time\.monotonic\(\) \+ \d"
)
CALLS = ("subprocess", "urlopen", "httpx", "communicate", "join(", "wait(", "Barrier(", "monotonic")


def test_limits_of_processes_and_requests_are_scaled() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{number}: {line.strip()}"
        for folder in ("integration", "containers", "infrastructure", "load", "support")
        for path in sorted((TESTS / folder).rglob("*.py"))
        if path.name != "waiting.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LITERAL.search(line) and any(call in line for call in CALLS)
    ]
    assert found == []


def test_eventually_returns_the_first_true_value() -> None:
    values = iter([0, "", 3])
    assert waiting.eventually(lambda: next(values), "a value", pause_seconds=0) == 3


def test_eventually_without_a_true_value_fails_with_its_subject_and_last_value() -> None:
    with pytest.raises(AssertionError, match=r"a row appears; last value: \[\]"):
        waiting.eventually(lambda: [], "a row appears", seconds=0.01, pause_seconds=0)


def test_time_scale_is_at_least_one_and_bounded() -> None:
    assert 1.0 <= waiting.measure() <= waiting.MAX_SCALE
