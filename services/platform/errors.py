"""Errors by their consequence. Imports only the standard library."""

from __future__ import annotations


class DarkroomError(Exception):
    """Base of the errors that this project raises on purpose."""


class TransientError(DarkroomError):
    """Try again: the same work may succeed later (a throttle, a timeout, a service away)."""


class PostponedError(TransientError):
    """Not now: the work may succeed after `seconds` at the earliest, and this was no attempt (a
    quota is used up, or another delivery is at work). A function that `postpones` (function.yaml)
    uses up no receive for it."""

    def __init__(self, reason: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(reason)


class PermanentError(DarkroomError):
    """Never try again: the same work will fail the same way (bad input, a broken contract)."""


class ConfigurationError(PermanentError):
    """The environment or a manifest is wrong. The message lists every mistake, each by its name."""

    def __init__(self, subject: str, mistakes: list[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{subject}: " + "; ".join(mistakes))
