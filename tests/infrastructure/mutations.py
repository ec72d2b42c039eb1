"""Takes a grant away, goes the ways that need it, and looks for the failure that tells so."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.local.state import PROJECT
from tests.infrastructure import ways
from tests.infrastructure.roles import Grant
from tests.infrastructure.ways import Run, Stage, Way

# After the way has ended: what it set off may still be under way.
SETTLING_SECONDS = 12
STOP_SECONDS = 60
SEEN_EVERY_SECONDS = 0.1
# What SDKs call the request, where that is not as the action is called.
OPERATIONS = {
    "s3:GetObjectVersion": ["GetObject"],
    "s3:ListBucket": ["ListObjectsV2", "HeadObject", "GetObject"],
    "s3:DeleteObject": ["DeleteObject", "DeleteObjects"],
    "dynamodb:PutItem": ["PutItem", "TransactWriteItems"],
    "dynamodb:UpdateItem": ["UpdateItem", "TransactWriteItems"],
    "dynamodb:ConditionCheckItem": ["TransactWriteItems"],
    "sqs:DeleteMessage": ["DeleteMessageBatch"],
    "sqs:ChangeMessageVisibility": ["ChangeMessageVisibilityBatch"],
}
REFUSED = r"(AccessDenied\w*|AuthorizationError|403)"


ALL = "*"
# By function, then by action: the way that needs it. `ALL` is for the other actions.
WAYS: dict[str, dict[str, Way]] = {
    "authorize-request": {ALL: ways.join, "dynamodb:UpdateItem": ways.stay},
    "cancel-order": {ALL: ways.cancel},
    "check-inventory": {ALL: ways.ship, "states:SendTaskFailure": ways.out_of_stock},
    "close-session": {ALL: ways.leave_everywhere},
    "create-order": {ALL: ways.ship},
    "create-user": {ALL: ways.join},
    "delete-image": {ALL: ways.delete},
    "fail-order": {
        ALL: ways.fail,
        "dynamodb:DeleteItem": ways.provider_refuses(ways.fail, "fail-order"),
        "states:SendTaskFailure": ways.exhaust("fail-order", ways.fail),
    },
    "fulfill-order": {
        ALL: ways.ship,
        "s3:DeleteObject": ways.cancel,
        "states:SendTaskFailure": ways.cancel,
        "s3:ListBucket on originals": ways.lose_the_original,
        "s3:ListBucket on renditions": ways.lose_the_thumbnail,
    },
    "get-image": {ALL: ways.develop},
    "get-order": {ALL: ways.ship},
    "list-images": {ALL: ways.develop},
    "list-orders": {ALL: ways.ship},
    "list-products": {ALL: ways.ship},
    "list-users": {ALL: ways.administer},
    "migrate-database": {ALL: ways.migrate},
    "notify-out-of-stock": {
        ALL: ways.out_of_stock,
        "states:SendTaskFailure": ways.exhaust("notify-out-of-stock", ways.out_of_stock),
    },
    "notify-payment-declined": {
        ALL: ways.declined,
        "states:SendTaskFailure": ways.exhaust("notify-payment-declined", ways.declined),
    },
    "open-session": {ALL: ways.join},
    "process-image": {
        ALL: ways.develop,
        **dict.fromkeys(
            [
                "s3:DeleteObject",
                "s3:ListBucket",
                "dynamodb:DeleteItem",
                "dynamodb:ConditionCheckItem",
            ],
            ways.delete,
        ),
    },
    "process-payment": {
        ALL: ways.ship,
        "states:SendTaskFailure": ways.declined,
        "dynamodb:GetItem": ways.fail,
        "dynamodb:DeleteItem": ways.provider_refuses(ways.ship, "process-payment"),
    },
    "receive-payment": {ALL: ways.notice, "dynamodb:DeleteItem": ways.notice_untold},
    "record-payment": {
        ALL: ways.pay_too_late,
        "dynamodb:DeleteItem": ways.provider_refuses(ways.pay_too_late, "record-payment"),
    },
    "release-stock": {
        ALL: ways.declined,
        "states:SendTaskFailure": ways.exhaust("release-stock", ways.declined),
    },
    "request-upload": {ALL: ways.develop},
    "validate-order": {ALL: ways.ship, "states:SendTaskFailure": ways.rejected},
    **{
        function: {
            ALL: way,
            "dynamodb:GetItem": again,
            "dynamodb:DeleteItem": ways.mail_refused(function, way),
        }
        for function, way, again in (
            ("send-image-email", ways.develop, ways.hear_of_a_photo_twice),
            ("send-order-confirmation", ways.ship, ways.hear_of_an_order_again),
            ("send-order-problem", ways.declined, ways.hear_of_a_problem_again),
            ("send-order-shipped", ways.ship, ways.hear_of_an_order_again),
            ("send-payment-receipt", ways.ship, ways.hear_of_an_order_again),
        )
    },
}


def way_of(grant: Grant) -> Way:
    """The way that needs a grant."""
    if grant.action == "sqs:ChangeMessageVisibility":
        return ways.garbage_that_cannot_be_kept(grant.function)
    if grant.action.startswith("sqs:"):
        return ways.garbage(grant.function)
    known = WAYS[grant.function]
    about = re.sub(r"Bucket([A-Z][a-z]+)(Itself|Objects)", r"\1", grant.sid).lower()
    return known.get(f"{grant.action} on {about}") or known.get(grant.action) or known[ALL]


@dataclass
class Log:
    """A process's log, from now on."""

    path: Path
    offset: int = 0

    def __post_init__(self) -> None:
        self.offset = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> list[str]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read().decode(errors="replace").splitlines()


def log_of(stage: Stage, function: str) -> Path:
    name = function if function in stage.output["queues"] else "gateway"
    return stage.ground.folder / f"{name}.log"


def told(grant: Grant, lines: Sequence[str]) -> str | None:
    """The line that tells that the function missed its grant."""
    operations = "|".join(OPERATIONS.get(grant.action, [grant.action.partition(":")[2]]))
    pattern = re.compile(rf"{REFUSED}.*when calling the ({operations}) operation")
    return next((line for line in lines if pattern.search(line) and grant.function in line), None)


def missed(stage: Stage, grant: Grant, folder: Path) -> str | None:
    """What is told when `grant` is taken away and its way is gone; None when nobody notices."""
    log = Log(log_of(stage, grant.function))
    with stage.roles.without(grant):
        stage.fresh(grant.function)
        going = Going(Run(stage, grant), folder)
        ended_at = None
        while (line := told(grant, log.lines()) or going.refusal()) is None:
            if going.ended and ended_at is None:
                ended_at = time.monotonic()
            if ended_at is not None and time.monotonic() - ended_at > SETTLING_SECONDS:
                break
            time.sleep(SEEN_EVERY_SECONDS)
        going.stop()
    return line


@dataclass
class Going:
    """A grant's way, gone in a thread of its own."""

    run: Run
    folder: Path
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        assert self.run.grant is not None
        try:
            way_of(self.run.grant)(self.run, self.folder)
        except Exception as error:  # noqa: BLE001  without a right it may end in any manner
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def refusal(self) -> str | None:
        """What the way met itself, where it is not told in a log: a link that nobody may follow."""
        refused = isinstance(self.error, ways.LinkRefusedError | ways.InvocationFailedError)
        return str(self.error) if refused else None

    def stop(self) -> None:
        self.run.stop.set()
        self._thread.join(STOP_SECONDS)
        assert self.ended, f"the way of {self.run.grant} does not end"


def fresh(function: str) -> None:
    """Ends the execution environments of a function in this process's workers and API, so that its
    next event finds one that knows nothing yet: no secret, no connection."""
    ended = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                _parent(_parent(process.name)) == str(os.getpid())
                and b"services.worker.environment" in (process / "cmdline").read_bytes()
                and (process / "cwd").resolve() == PROJECT / "images" / function
            ):
                os.kill(int(process.name), signal.SIGKILL)
                ended.append(process.name)
    give_up_at = time.monotonic() + STOP_SECONDS
    while any(map(_lives, ended)):
        assert time.monotonic() < give_up_at, f"environments of {function} do not end"
        time.sleep(0.01)


def _lives(pid: str) -> bool:
    try:
        return _status(pid)[0] != "Z"
    except OSError:
        return False


def _parent(pid: str) -> str:
    return _status(pid)[1]


def _status(pid: str) -> list[str]:
    """State, parent and more: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
