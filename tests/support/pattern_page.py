"""The tests that docs/reference/patterns.md names, and whether they ran.

`python -m tests.support.pattern_page [--allow-skipped] RESULTS.xml...` reads JUnit files and fails
unless each test of pytest on the page ran and passed in one of them. With `--allow-skipped` a test
that was skipped is printed with its reason and does not fail. `terraform test` writes no such
file; its runs are checked to exist.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "patterns.md"
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.M)
_TEST = re.compile(r"`((?:tests|terraform)/[^`:]+)(?:::(\w+))?`")


@dataclass(frozen=True)
class NamedTest:
    """A test on the page; an empty `name` is the whole file."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}::{self.name}" if self.name else self.path

    @property
    def exists(self) -> bool:
        file = ROOT / self.path
        if not file.is_file():
            return False
        text = file.read_text(encoding="utf-8")
        if self.path.endswith(".hcl"):
            return f'run "{self.name}"' in text
        return not self.name or bool(re.search(rf"^ *def {self.name}\(", text, re.M))


def find_tests(text: str) -> tuple[NamedTest, ...]:
    """The tests that a text names."""
    return tuple(NamedTest(path, name) for path, name in _TEST.findall(text))


def named_tests(page: str) -> dict[int, tuple[NamedTest, ...]]:
    """The tests of each row, by its number."""
    return {int(number): find_tests(cell) for number, _, cell in _ROW.findall(page)}


@dataclass(frozen=True)
class Results:
    """Path and name of tests, with any parameters; also each path with an empty name. `skipped`
    has the reason."""

    passed: frozenset[tuple[str, str]]
    skipped: dict[tuple[str, str], str]


def read_results(files: Iterable[Path]) -> Results:
    """The results in JUnit files."""
    passed: set[tuple[str, str]] = set()
    skipped: dict[tuple[str, str], str] = {}
    for file in files:
        for case in ET.parse(file).iter("testcase"):
            outcomes = {child.tag: child for child in case}
            parts = case.get("classname", "").split(".")
            # A test of a class has the class after its module.
            module = next((n for n, part in enumerate(parts) if part.startswith("test_")), None)
            if module is None or outcomes.keys() & {"failure", "error"}:
                continue
            path = "/".join(parts[: module + 1]) + ".py"
            tests = {(path, case.get("name", "").partition("[")[0]), (path, "")}
            if "skipped" in outcomes:
                reason = outcomes["skipped"].get("message", "")
                skipped |= dict.fromkeys(tests, reason)
            else:
                passed |= tests
    return Results(frozenset(passed), skipped)


def missing(page: str, results: Results) -> dict[str, str | None]:
    """The tests of pytest on the page that did not pass; with the reason if they were skipped."""
    return {
        f"pattern {number}: {test}": results.skipped.get((test.path, test.name))
        for number, tests in named_tests(page).items()
        for test in tests
        if not test.path.endswith(".hcl") and (test.path, test.name) not in results.passed
    }


def main() -> int:
    arguments = sys.argv[1:]
    allow_skipped = arguments[:1] == ["--allow-skipped"]
    results = read_results(map(Path, arguments[allow_skipped:]))
    failed = False
    for test, reason in missing(PAGE.read_text(encoding="utf-8"), results).items():
        skipped = allow_skipped and reason is not None
        failed = failed or not skipped
        why = f"was skipped: {reason}" if reason is not None else "did not run and pass"
        sys.stderr.write(f"{test} {why}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
