"""Finds the checkout that this code is part of, if it is part of one.

Function images and installed packages have `services/` without `images/` and `terraform/`.
"""

from __future__ import annotations

import os
from pathlib import Path

from services.platform.errors import DarkroomError

PROJECT = Path(__file__).resolve().parents[2]


def is_checkout(project: Path = PROJECT) -> bool:
    """Whether `project` has the function manifests and the lab's resources."""
    return (project / "images").is_dir() and (project / "terraform" / "lab").is_dir()


def state_folder(project: Path = PROJECT) -> Path:
    """Where the command writes: `.darkroom` in a checkout, else the user's state folder."""
    if is_checkout(project):
        return project / ".darkroom"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "darkroom"


def require_checkout(what: str, project: Path = PROJECT) -> None:
    """Raises DarkroomError if `what` (a command or part, as a subject) cannot work here."""
    if not is_checkout(project):
        raise DarkroomError(
            f"{what} needs a checkout of Darkroom with images/ and terraform/, which an installed "
            "package does not have; clone the repository, run `make setup` there and use its "
            ".venv/bin/darkroom"
        )
