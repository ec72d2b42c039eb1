"""Releases new versions, and rolls them back.

1. The plan: every alias stays where it is, newest versions get a share of the calls.
2. Apply. A version that does not start fails here, before any call (terraform/modules/function).
3. The alarms of the functions that change are watched for the bake time.
4. What is live is noted as what a rollback goes back to, and the aliases move.

When anything fails on the way, the functions of the release are held at the versions that were
live. The record that holds them is Terraform's to read, so nothing else moves them, either; they go
on with their next image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.deploy.alarms import POLL_SECONDS, AlarmError, Watch
from services.deploy.change import NOTHING, Change, read_change
from services.deploy.live_images import LiveImages
from services.deploy.networks import Networks, Version
from services.deploy.scans import Scans, Severity
from services.deploy.terraform import TerraformError
from services.monitoring.release_record import Record, read_record, write_record
from services.operations.signals import ignore_signals
from services.platform import timestamps
from services.platform.errors import DarkroomError, PermanentError

LAMBDA, WORKER = "lambda", "worker"
# Lambda refuses calls of a version whose image it still prepares:
# https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
PENDING = "currently in the following state: Pending"
PENDING_SECONDS = 15.0
PENDING_ATTEMPTS = 8


class Configured(Protocol):
    """The part of `terraform.Terraform` that a release uses."""

    @property
    def environment(self) -> str: ...

    def outputs(self) -> dict[str, Any]: ...

    def plan(self, **variables: Any) -> dict[str, Any] | None: ...

    def apply(self) -> None: ...


class Result(StrEnum):
    """How it came out."""

    NOTHING = "nothing-to-do"
    PLANNED = "planned"
    RELEASED = "released"
    ROLLED_BACK = "rolled-back"
    """Asked for."""
    TAKEN_BACK = "taken-back"
    """The release failed; what was live before is live."""


@dataclass(frozen=True)
class Moved:
    """A function's live version before and after; None before it had one."""

    function: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of a release or a rollback. `reason` says why it was taken back."""

    result: Result
    moved: tuple[Moved, ...] = ()
    workers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Settings:
    """Share of the calls (0 to 1) that new versions get, and for how long, in seconds. `again` lets
    held functions go; `deletions` lets an apply delete what is not replaced at every release.
    Images with a finding of severity `refuse` or worse are not applied, except `accepted` ones."""

    weight: float
    bake_seconds: float
    again: bool = False
    deletions: bool = False
    only_plan: bool = False
    refuse: Severity = Severity.HIGH
    accepted: frozenset[str] = frozenset()
    poll_seconds: float = POLL_SECONDS
    pending_seconds: float = PENDING_SECONDS
    """Pause before the warm-up of a pending version is repeated."""


@dataclass(frozen=True)
class Reporter:
    """Receives the progress: a line for each step, and the seconds left while alarms are
    watched."""

    step: Callable[[str], None]
    left: Callable[[float], None]


@dataclass(frozen=True)
class Lab:
    """What a release needs to know of a lab that was applied before: its outputs."""

    live: Mapping[str, str]
    newest: Mapping[str, str]
    alarms: Mapping[str, tuple[str, ...]]
    parameter: str | None
    names: Mapping[str, str]
    """Functions' names on Lambda."""
    worker_images: Mapping[str, str] = field(default_factory=dict)
    """The image of each worker."""
    mail_rate_wanted: bool = False
    """Whether the sending rate of SES limits functions of the lab."""


def read_lab(outputs: Mapping[str, Any]) -> Lab:
    """The lab in Terraform's outputs."""
    lambdas = {
        name: function
        for name, function in outputs.get("functions", {}).items()
        if function["compute"] == LAMBDA and function.get("live_version")
    }
    return Lab(
        live={name: str(function["live_version"]) for name, function in lambdas.items()},
        newest={name: str(function["version"]) for name, function in lambdas.items()},
        alarms={name: tuple(names) for name, names in (outputs.get("alarms") or {}).items()},
        parameter=outputs.get("release"),
        names={name: str(f["name"]) for name, f in lambdas.items() if f.get("name")},
        worker_images={
            name: function["image_uri"]
            for name, function in outputs.get("functions", {}).items()
            if function["compute"] == WORKER and function.get("image_uri")
        },
        mail_rate_wanted=bool(outputs.get("mail_rate_wanted")),
    )


@dataclass(frozen=True)
class Releaser:
    """Releases one environment. `clients` makes a client of an AWS service in the lab's region."""

    terraform: Configured
    clients: Callable[[str], Any]
    report: Reporter

    def deploy(self, settings: Settings) -> Outcome:
        """Releases what differs from what is applied. Raises DarkroomError when it cannot begin; a
        release that fails later is taken back, and that is its outcome."""
        lab = read_lab(self.terraform.outputs())
        record = self._record(lab)
        if settings.again:
            # Not written yet: while it is tried out, a plain apply keeps to what is held.
            record = replace(record, held={})
        if not settings.only_plan:
            record = self._with_mail_rate(lab, record)
        change, staged = self._stage(lab, record, settings.weight)
        # A release that was killed on its way: its versions still have their share, and no more.
        begun = {name for name in staged if lab.live[name] != lab.newest[name]}
        moving = sorted(begun.union(change.functions))
        if change == NOTHING and not begun:
            return Outcome(Result.NOTHING, held=record.held)
        planned = Outcome(
            Result.PLANNED,
            moved=tuple(
                Moved(
                    name, lab.live.get(name), None if name in change.versions else lab.newest[name]
                )
                for name in moving
                if name in staged or name not in lab.live
            ),
            workers=change.workers,
            others=change.others,
            held={name: v for name, v in record.held.items() if name not in staged},
        )
        if settings.only_plan:
            return planned
        if change.deletions and not settings.deletions:
            raise PermanentError(
                f"the plan deletes {', '.join(change.deletions)}; "
                "where that is meant: --allow-deletions"
            )
        self._check_network(lab, change)
        self._check_scans(change, settings)
        released = {name: lab.live[name] for name in moving if name in staged}
        if not released:
            # No caller meets another version: nothing to try out.
            self.report.step("applying")
            self._apply_staged(lab, staged, settings)
            return self._finished(planned, lab, record)
        watch = self._watch(lab, released, settings.poll_seconds)
        held = {name: v for name, v in record.held.items() if name not in released}
        try:
            self.report.step(
                f"applying: new versions of {', '.join(sorted(released))} get "
                f"{settings.weight:.0%} of the calls"
            )
            self._apply_staged(lab, staged, settings)
            # Before the new versions are live, so that their images cannot expire in between.
            self._protect(lab, record, released, prune=False)
            if watch is None:
                self.report.step("there are no alarms to watch: the release is not tried out")
            else:
                self.report.step(
                    f"watching {len(watch.names)} alarms for {settings.bake_seconds / 60:g} minutes"
                )
                watch.through(settings.bake_seconds, self.report.left)
            self._write(lab, self._changed(record, before={**lab.live}, held=held))
            self.report.step("new versions get all of the calls")
            self._apply()
        except (DarkroomError, BotoCoreError, ClientError, KeyboardInterrupt) as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            self.report.step(f"going back: {reason}")
            with ignore_signals():
                self._write(lab, replace(record, held={**held, **released}))
                self._apply()
            return Outcome(Result.TAKEN_BACK, planned.moved, held=released, reason=reason)
        return self._finished(planned, lab, replace(record, before={**lab.live}, held=held))

    def rollback(self) -> Outcome:
        """Goes back to what was live before the last release. Raises PermanentError when there is
        nothing to go back to."""
        lab = read_lab(self.terraform.outputs())
        record = self._record(lab)
        back = {
            name: version
            for name, version in record.before.items()
            if name in lab.live and lab.live[name] != version
        }
        if not back:
            raise PermanentError(
                "expected a release to go back from; nothing was released since the last rollback"
            )
        self.report.step(f"going back: {', '.join(f'{n} to {v}' for n, v in sorted(back.items()))}")
        with ignore_signals():
            self._write(lab, self._changed(record, before={}, held={**record.held, **back}))
            self._apply()
        return Outcome(
            Result.ROLLED_BACK,
            moved=tuple(Moved(name, lab.live[name], back[name]) for name in sorted(back)),
            held={**record.held, **back},
        )

    def delete_versions(self, *, dry_run: bool = False) -> tuple[Version, ...]:
        """Deletes published versions that use another network than the live version of their
        function, so that Lambda gives its network interfaces back. They are no longer what a
        rollback goes back to. Returns them. Raises ClientError."""
        lab = read_lab(self.terraform.outputs())
        record = self._record(lab)
        names = {lab.names[name]: name for name in lab.names}
        networks = Networks(self.clients("lambda"))
        found = networks.left_behind(
            {full: {lab.live[name], lab.newest[name]} for full, name in names.items()}
        )
        if dry_run or not found:
            return found
        gone = {(names[version.function], version.number) for version in found}
        # First, so that a rollback never goes back to a version that is deleted.
        before = {name: v for name, v in record.before.items() if (name, v) not in gone}
        self._write(lab, replace(record, before=before))
        for version in found:
            self.report.step(f"deleting version {version.number} of {version.function}")
            networks.delete(version)
        return found

    def _stage(self, lab: Lab, record: Record, weight: float) -> tuple[Change, frozenset[str]]:
        """Plans the first step; the change, and the functions whose aliases stay while their newest
        version gets its share. A held function is among them only when it gets another image."""
        staged = frozenset(lab.live.keys() - record.held.keys())
        while True:
            change = read_change(self._plan_staged(lab, staged, weight))
            freed = {name for name in change.versions if name in record.held} - staged
            if not freed:
                return change, staged
            staged |= freed

    def _check_network(self, lab: Lab, change: Change) -> None:
        """Raises NetworkInUseError when versions of functions that stay use a network that the
        change deletes."""
        if not change.deleted_network:
            return
        self.report.step("looking for versions in the network that is deleted")
        staying = [lab.names[name] for name in lab.names.keys() - change.deleted_functions]
        Networks(self.clients("lambda")).check(change.deleted_network, staying)

    def _check_scans(self, change: Change, settings: Settings) -> None:
        """Raises ScanError when a new image has a finding that the settings refuse."""
        if settings.refuse is Severity.NONE or not change.images:
            return
        self.report.step(f"reading the scan results of {len(change.images)} images")
        scans = Scans(self.clients("ecr"), settings.refuse, settings.accepted)
        if elsewhere := scans.check(change.images):
            self.report.step(f"images not in ECR, so not scanned: {', '.join(elsewhere)}")

    def _plan_staged(
        self, lab: Lab, staged: frozenset[str], weight: float
    ) -> dict[str, Any] | None:
        live = {name: lab.live[name] for name in sorted(staged)}
        return self.terraform.plan(live_versions=live, canary_weight=weight)

    def _apply_staged(self, lab: Lab, staged: frozenset[str], settings: Settings) -> None:
        """Applies the plan of the first step. Repeats it while the warm-up of a version fails
        because Lambda still prepares its image; raises TerraformError for anything else."""
        for attempt in range(1, PENDING_ATTEMPTS + 1):
            try:
                self.terraform.apply()
            except TerraformError as error:
                if PENDING not in str(error) or attempt == PENDING_ATTEMPTS:
                    raise
            else:
                return
            self.report.step("a new version is still pending: applying again")
            time.sleep(settings.pending_seconds)
            if self._plan_staged(lab, staged, settings.weight) is None:
                return

    def _apply(self) -> None:
        """Applies what the record and the environment's variables say, if that changes anything."""
        if self.terraform.plan() is not None:
            self.terraform.apply()

    def _watch(self, lab: Lab, released: Mapping[str, str], poll_seconds: float) -> Watch | None:
        names = tuple(sorted({alarm for name in released for alarm in lab.alarms.get(name, ())}))
        if not names:
            return None
        watch = Watch(self.clients("cloudwatch"), names, poll_seconds)
        # One that is in alarm already says nothing of this release, and it may be the cure.
        if alarmed := watch.in_alarm():
            self.report.step(f"not watched, since in alarm already: {', '.join(alarmed)}")
        quiet = tuple(name for name in names if name not in alarmed)
        if not quiet:
            raise AlarmError(
                "all alarms of the release are in alarm already: nothing can be watched"
            )
        return Watch(watch.cloudwatch, quiet, poll_seconds)

    def _protect(
        self, before: Lab, record: Record, functions: Iterable[str], *, prune: bool
    ) -> None:
        """Tags the images of these functions' live, newest and previous versions in ECR, and those
        of all workers now and `before`, which ECS goes back to when new tasks fail."""
        lab = read_lab(self.terraform.outputs())
        if lab.parameter is None:
            return
        prefix = lab.parameter.split("/")[1]
        images = LiveImages(self.clients("ecr"), self.clients("lambda"), prefix)
        untagged = []
        for name in sorted(lab.names.keys() & set(functions)):
            versions = [lab.live[name], lab.newest[name]]
            if name in record.before:
                versions.append(record.before[name])
            if not images.protect(lab.names[name], versions, prune=prune):
                untagged.append(name)
        for name, image in sorted(lab.worker_images.items()):
            previous = before.worker_images.get(name, image)
            if not images.protect_images([image, previous], prune=prune):
                untagged.append(name)
        if untagged:
            self.report.step(f"images not in ECR, so not protected: {', '.join(untagged)}")

    def _finished(self, planned: Outcome, before: Lab, record: Record) -> Outcome:
        after = read_lab(self.terraform.outputs())
        try:
            self._protect(before, record, after.names, prune=True)
        except (BotoCoreError, ClientError) as error:
            # Released all the same; the next release tags them.
            self.report.step(f"images of live versions could not be tagged: {error}")
        return Outcome(
            Result.RELEASED,
            tuple(
                Moved(name, before.live.get(name), version)
                for name, version in sorted(after.live.items())
                if before.live.get(name) != version
            ),
            planned.workers,
            planned.others,
            planned.held,
        )

    def _with_mail_rate(self, lab: Lab, record: Record) -> Record:
        """The record with the rate that SES allows now, written if it is another: Terraform limits
        the concurrency of the functions that send e-mails by it."""
        if lab.parameter is None or not lab.mail_rate_wanted:
            return record
        try:
            # https://docs.aws.amazon.com/ses/latest/APIReference/API_GetSendQuota.html
            rate = float(self.clients("ses").get_send_quota()["MaxSendRate"])
        except (BotoCoreError, ClientError) as error:
            self.report.step(f"the sending rate of SES cannot be read, and stays: {error}")
            return record
        if rate <= 0 or rate == record.mail_rate:
            return record
        self.report.step(f"SES allows {rate:g} e-mails a second")
        # Without what `--again` lets go: that is not decided yet.
        self._write(lab, replace(self._record(lab), mail_rate=rate))
        return replace(record, mail_rate=rate)

    def _changed(
        self, record: Record, before: Mapping[str, str], held: Mapping[str, str]
    ) -> Record:
        """The record of a release or a rollback that moves the aliases now."""
        return replace(
            record,
            before=before,
            held=held,
            environment=self.terraform.environment,
            changed_at=timestamps.now(),
        )

    def _record(self, lab: Lab) -> Record:
        if lab.parameter is None:
            return Record()
        return read_record(self.clients("ssm"), lab.parameter)

    def _write(self, lab: Lab, record: Record) -> None:
        if lab.parameter is not None:
            write_record(self.clients("ssm"), lab.parameter, record)
