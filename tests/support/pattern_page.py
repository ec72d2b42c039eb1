"""The tests that docs/reference/patterns.md names, and whether they ran.

`python -m tests.support.pattern_page RESULTS.xml...` reads JUnit files and fails unless each test
of pytest on the page ran and passed in one of them. `terraform test` writes no such file; its runs
are checked to exist.
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


def named_tests(page: str) -> dict[int, tuple[NamedTest, ...]]:
    """The tests of each row, by its number."""
    return {
        int(number): tuple(NamedTest(path, name) for path, name in _TEST.findall(cell))
        for number, _, cell in _ROW.findall(page)
    }


def passed(results: Iterable[Path]) -> frozenset[tuple[str, str]]:
    """Path and name of the tests that passed, with any parameters; also each path with an empty
    name."""
    found = set()
    for result in results:
        for case in ET.parse(result).iter("testcase"):
            if any(child.tag in ("failure", "error", "skipped") for child in case):
                continue
            parts = case.get("classname", "").split(".")
            # A test of a class has the class after its module.
            module = next((n for n, part in enumerate(parts) if part.startswith("test_")), None)
            if module is not None:
                path = "/".join(parts[: module + 1]) + ".py"
                found |= {(path, case.get("name", "").partition("[")[0]), (path, "")}
    return frozenset(found)


def missing(page: str, results: Iterable[Path]) -> list[str]:
    """The tests of pytest on the page that did not run, or did not pass."""
    ran = passed(results)
    return [
        f"pattern {number}: {test}"
        for number, tests in named_tests(page).items()
        for test in tests
        if not test.path.endswith(".hcl") and (test.path, test.name) not in ran
    ]


def main() -> int:
    lines = missing(PAGE.read_text(encoding="utf-8"), map(Path, sys.argv[1:]))
    for line in lines:
        sys.stderr.write(f"{line} did not run and pass\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
