"""docs/security.md has a line for every risk, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (API|V)\d", line)]
LIMITS = re.findall(
    r"^\| (?!limit \|).*$", PAGE.partition("## Limits of use")[2].partition("\n## ")[0], re.M
)


def test_page_has_every_risk_and_chapter() -> None:
    named = [row.split()[1] for row in ROWS]
    assert named == [*(f"API{n}" for n in range(1, 11)), *(f"V{n}" for n in range(1, 15))]


def test_page_lists_limits_per_account_and_per_network() -> None:
    assert {"account", "network"} <= {row.split("|")[2].split("(")[0].strip() for row in LIMITS}


@pytest.mark.parametrize("row", [*ROWS, *LIMITS], ids=lambda row: row.split("|")[1].strip()[:40])
def test_row_names_tests_that_exist_or_a_reason(row: str) -> None:
    *_, proof, _ = (cell.strip() for cell in row.split("|"))
    tests = re.findall(r"`(tests/[^`:]+)(?:::([^`]+))?`", proof)
    assert tests or proof.startswith("reason: ")
    for path, name in tests:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or re.search(rf"^(async )?def {name}\(", text, re.M), f"{path}::{name}"


def test_every_test_of_the_security_suite_is_named() -> None:
    defined = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests" / "security").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M)
    }
    assert {name for name in defined if name not in PAGE} == set()
