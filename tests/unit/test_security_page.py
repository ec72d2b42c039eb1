"""docs/security.md has a line for every risk, docs/asvs.md one for every requirement of OWASP ASVS
4.0.3 at level 2, and the tests that they name exist."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.pattern_page import find_tests

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ASVS = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
RISKS = [line for line in PAGE.splitlines() if re.match(r"\| API\d", line)]
LIMITS = re.findall(
    r"^\| (?!limit \|).*$", PAGE.partition("## Limits of use")[2].partition("\n## ")[0], re.M
)
# The requirements of the levels 1 and 2 that are not deleted, by section.
# https://github.com/OWASP/ASVS/tree/v4.0.3/4.0/en
SECTIONS = {
    "1.1": "1-7", "1.2": "1-4", "1.4": "1 4 5", "1.5": "1-4", "1.6": "1-4", "1.7": "1-2",
    "1.8": "1-2", "1.9": "1-2", "1.10": "1", "1.11": "1-2", "1.12": "2", "1.14": "1-6",
    "2.1": "1-12", "2.2": "1-3", "2.3": "1-3", "2.4": "1-5", "2.5": "1-7", "2.6": "1-3",
    "2.7": "1-6", "2.8": "1-7", "2.9": "1-3", "2.10": "1-4",
    "3.1": "1", "3.2": "1-4", "3.3": "1-4", "3.4": "1-5", "3.5": "1-3", "3.7": "1",
    "4.1": "1 2 3 5", "4.2": "1-2", "4.3": "1-3",
    "5.1": "1-5", "5.2": "1-8", "5.3": "1-10", "5.4": "1-3", "5.5": "1-4",
    "6.1": "1-3", "6.2": "1-6", "6.3": "1-2", "6.4": "1-2",
    "7.1": "1-4", "7.2": "1-2", "7.3": "1 3 4", "7.4": "1-3",
    "8.1": "1-4", "8.2": "1-3", "8.3": "1-8",
    "9.1": "1-3", "9.2": "1-4",
    "10.2": "1-2", "10.3": "1-3",
    "11.1": "1-8",
    "12.1": "1-3", "12.2": "1", "12.3": "1-6", "12.4": "1-2", "12.5": "1-2", "12.6": "1",
    "13.1": "1 3 4 5", "13.2": "1 2 3 5 6", "13.3": "1-2", "13.4": "1-2",
    "14.1": "1-4", "14.2": "1-6", "14.3": "2-3", "14.4": "1-7", "14.5": "1-4",
}  # fmt: skip


class State(StrEnum):
    """What a row of docs/asvs.md says of its requirement."""

    TEST = "test"
    REASON = "reason"
    NOT_MET = "**not met**"


class Row(NamedTuple):
    number: str
    requirement: str
    state: str
    proof: str


REQUIREMENTS = [
    Row(*(cell.strip() for cell in line.strip("|").split("|")))
    for line in ASVS.splitlines()
    if re.match(r"\| \d", line)
]


def expected_numbers() -> list[str]:
    numbers = []
    for section, listed in SECTIONS.items():
        for part in listed.split():
            first, _, last = part.partition("-")
            numbers += [f"{section}.{n}" for n in range(int(first), int(last or first) + 1)]
    return numbers


def missing_tests(text: str) -> list[str]:
    """The names of tests that are malformed or not those of a test."""
    named = find_tests(text)
    known = {str(test) for test in named}
    malformed = [name for name in re.findall(r"`([^`]*::[^`]*)`", text) if name not in known]
    return malformed + [str(test) for test in named if not test.exists]


def test_page_has_every_risk() -> None:
    assert [row.split()[1] for row in RISKS] == [f"API{n}" for n in range(1, 11)]


def test_page_has_every_requirement_of_level_2_once() -> None:
    assert [row.number for row in REQUIREMENTS] == expected_numbers()


def test_page_counts_its_requirements_by_state() -> None:
    count = Counter(row.state for row in REQUIREMENTS)
    assert (
        f"Of {len(REQUIREMENTS)} requirements, tests show {count[State.TEST]}, "
        f"{count[State.REASON]} have a reason, and {count[State.NOT_MET]} are not met."
    ) in ASVS


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row.number)
def test_requirement_names_tests_that_exist_or_says_why(row: Row) -> None:
    assert row.requirement
    assert row.state in [*State]
    if row.state == State.TEST:
        assert find_tests(row.proof)
    else:
        assert len(row.proof.split()) > 2
    assert missing_tests(row.proof) == []


def test_page_lists_limits_per_account_and_per_network() -> None:
    assert {"account", "network"} <= {row.split("|")[2].split("(")[0].strip() for row in LIMITS}


@pytest.mark.parametrize("row", [*RISKS, *LIMITS], ids=lambda row: row.split("|")[1].strip()[:40])
def test_row_names_tests_that_exist_or_a_reason(row: str) -> None:
    *_, proof, _ = (cell.strip() for cell in row.split("|"))
    assert find_tests(proof) or proof.startswith("reason: ")
    assert missing_tests(proof) == []


def test_every_test_of_the_security_suite_is_named() -> None:
    defined = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests" / "security").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M)
    }
    assert {name for name in defined if name not in PAGE + ASVS} == set()
