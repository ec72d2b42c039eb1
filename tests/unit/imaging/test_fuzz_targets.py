"""Every target of the fuzzer takes its seeds, and every input that once made it fail."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import FOUND, TARGETS, seeds

FOUND_INPUTS = sorted(path for path in FOUND.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_fuzz_target_takes_its_seeds(name: str) -> None:
    files = seeds(name)
    assert files
    for data in files.values():
        TARGETS[name](data)


@pytest.mark.parametrize("name", [path.name for path in FOUND_INPUTS])
def test_fuzz_target_takes_input_that_failed_before(name: str) -> None:
    target, _, _ = name.partition("-")
    TARGETS[target]((FOUND / name).read_bytes())
