"""Limits what unknown people cause: e-mails to an address, and guesses of a code.

E-mails count for the client's network and for the address, whether or not it has an account. In
contrast to sign-ins, successes count too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.accounts.address_codes import Proof, Purpose
from services.accounts.model import account_of
from services.accounts.rate_limit import refused_as_429
from services.platform.counters import Counters, Limit, network_of
from services.platform.errors import TransientError

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
ADDRESS_EMAILS_PER_HOUR = 3
ADDRESS_EMAILS_PER_DAY = 10
# Many people of an office or a school share one address.
NETWORK_EMAILS_PER_HOUR = 50
ADDRESS_GUESSES_PER_HOUR = 10
NETWORK_GUESSES_PER_HOUR = 200


@dataclass(frozen=True)
class EmailLimit:
    """Counts e-mails and guesses, in the table of sign-in attempts."""

    counters: Counters

    @contextmanager
    def email(self, purpose: Purpose, email: str, address: str) -> Iterator[None]:
        """Counts an e-mail to `email` that a client at the IP address `address` asks for, for a
        `with` block that requests it. Raises HttpProblem 429 when a limit is exceeded."""
        subject = f"{purpose.value} e-mail, {account_of(email)}"
        limits = (
            Limit(f"e-mails, {network_of(address)}", NETWORK_EMAILS_PER_HOUR, HOUR_SECONDS),
            Limit(f"{subject}, hour", ADDRESS_EMAILS_PER_HOUR, HOUR_SECONDS),
            Limit(f"{subject}, day", ADDRESS_EMAILS_PER_DAY, DAY_SECONDS),
        )
        with self._counted(limits):
            yield

    @contextmanager
    def guess(self, purpose: Purpose, proof: Proof, address: str) -> Iterator[None]:
        """Counts the use of a token or a code. Raises HttpProblem 429 when a limit is exceeded."""
        limits = [Limit(f"codes, {network_of(address)}", NETWORK_GUESSES_PER_HOUR, HOUR_SECONDS)]
        # A token cannot be guessed, so attempts of others do not count against its holder.
        if proof.email is not None:
            subject = f"{purpose.value} code, {account_of(proof.email)}"
            limits.append(Limit(subject, ADDRESS_GUESSES_PER_HOUR, HOUR_SECONDS))
        with self._counted(tuple(limits)):
            yield

    @contextmanager
    def _counted(self, limits: tuple[Limit, ...]) -> Iterator[None]:
        with refused_as_429():
            counted = [self.counters.add(limit) for limit in limits]
        try:
            yield
        except TransientError:
            for counter in counted:
                self.counters.subtract(counter)
            raise
