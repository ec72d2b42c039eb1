"""What a load test is asked to do, and the rules of a run that are not asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.imaging.recipes import STANDARD

# With faults a worker is killed this often by default, KILLS_MAX times in all, if enough photos
# were settled since the last kill.
KILL_EVERY_SECONDS = 4.0
KILLS_MAX = 500
SETTLED_BETWEEN_KILLS = 3
# What a killed worker held comes back after this lease (default: 30 s), so that a run with
# faults ends soon. The claim on an e-mail is shortened likewise (default: 45 s): it must outlive
# the lease, and end before the message's last allowed receive.
VISIBILITY_SECONDS = 5
MAIL_LEASE_SECONDS = 20


# Pause between two photos of the second owner: one is developed before the next one comes.
OTHER_OWNER_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class Appointment:
    """The upload of one photo, in seconds after the first one."""

    seconds: float
    owner: str


@dataclass(frozen=True)
class Plan:
    """One run. `rate` is in photos a second, `workers` in processes or containers of a function;
    without a folder of photos, sample photos are made. All photos get `recipe`."""

    run_id: str
    count: int
    rate: float
    workers: int
    faults: bool
    photos: Path | None
    folder: Path
    recipe: str = STANDARD
    other_owner: int = 0
    """Photos of a second owner, among those of the first."""
    faults_after: int = 0
    """Photos that are settled before the first worker is killed."""
    kill_every_seconds: float = KILL_EVERY_SECONDS

    @property
    def owner(self) -> str:
        """The customer whose photos these are: one of the run's own, so that all of them count."""
        return f"load-{self.run_id}"

    @property
    def second_owner(self) -> str:
        """The customer of the `other_owner` photos."""
        return f"{self.owner}-other"

    @property
    def owners(self) -> tuple[str, ...]:
        return (self.owner, self.second_owner) if self.other_owner else (self.owner,)

    @property
    def total(self) -> int:
        """The photos of all owners."""
        return self.count + self.other_owner

    @property
    def timetable(self) -> list[Appointment]:
        """When each photo is uploaded: those of the second owner one at a time, from when half of
        the first owner's have been."""
        first = [Appointment(n / self.rate, self.owner) for n in range(self.count)]
        began = self.count / self.rate / 2
        second = [
            Appointment(began + n * OTHER_OWNER_EVERY_SECONDS, self.second_owner)
            for n in range(self.other_owner)
        ]
        return sorted([*first, *second], key=lambda appointment: appointment.seconds)

    @property
    def worker_variables(self) -> dict[str, str]:
        """Additional environment variables of the workers. All photos have one recipient, who gets
        an e-mail about each."""
        every_photo = {"MAIL_PHOTOS_PER_DAY": "0"}
        if not self.faults:
            return every_photo
        return {
            **every_photo,
            "WORKER_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            "MAIL_LEASE_SECONDS": str(MAIL_LEASE_SECONDS),
        }
