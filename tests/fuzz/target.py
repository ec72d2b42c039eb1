"""Fuzzes one target with atheris: `python -m tests.fuzz.target NAME [libFuzzer's arguments]`."""

from __future__ import annotations

import sys

import atheris

# The code under test must be imported for the first time in here: that is when it is instrumented.
with atheris.instrument_imports(include=["services.imaging"]):
    from services.imaging.confinement import import_all
    from tests.fuzz.targets import TARGETS

    import_all()  # or the first input would take the time of it


def main() -> None:
    """Runs libFuzzer until it finds a failure or its time is over; it ends the process."""
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
