"""Takes a grant away, goes the ways that need it, and looks for the failure that tells so."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.local.state import PROJECT
from tests.infrastructure import ways
from tests.infrastructure.roles import Grant
from tests.infrastructure.ways import Run, Stage, Way

# After the way has ended: what it set off may still be under way.
SETTLING_SECONDS = 8
STOP_SECONDS = 60
# A call that meets an environment which was just ended fails for that, and tells nothing.
GOES = 3
SEEN_EVERY_SECONDS = 0.1
# What SDKs call the request, where that is not as the action is called.
OPERATIONS = {
    "s3:GetObjectVersion": ["GetObject"],
    "s3:ListBucket": ["ListObjectsV2"],
    "s3:DeleteObject": ["DeleteObject", "DeleteObjects"],
    "dynamodb:PutItem": ["PutItem", "TransactWriteItems"],
    "dynamodb:UpdateItem": ["UpdateItem", "TransactWriteItems"],
    "dynamodb:ConditionCheckItem": ["TransactWriteItems"],
    "sqs:DeleteMessage": ["DeleteMessageBatch"],
    "sqs:ChangeMessageVisibility": ["ChangeMessageVisibilityBatch"],
}
REFUSED = r"(AccessDenied\w*|AuthorizationError)"
# The work was not done: it is tried again, kept as a dead letter, or answered with 5xx.
FAILED = re.compile(
    r'"(message-failed|task-not-answered|dead-letter-not-sent|queue-away|request-failed'
    r'|interrupted_order_search_failed|order_start_failed)"'
    r'|"errorMessage"'
)

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
    "start-orders": {ALL: ways.start_late},
    "validate-order": {
        ALL: ways.ship,
        "sns:Publish": ways.rejected,
        "states:SendTaskFailure": ways.rejected,
    },
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


# To whoever may not list a bucket, S3 says 403 of an object that is not there, as of one that is
# none of theirs. MiniStack says 404, so that these are not missed there:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
NOT_MISSED_HERE = {
    ("fulfill-order", "s3:ListBucket on originals"),
    ("fulfill-order", "s3:ListBucket on renditions"),
    ("process-image", "s3:ListBucket on originals"),
    ("send-image-email", "s3:ListBucket on renditions"),
}


def way_of(grant: Grant) -> Way | None:
    """The way that needs a grant; None where no emulator tells."""
    if (grant.function, about(grant)) in NOT_MISSED_HERE:
        return None
    if grant.action == "sqs:ChangeMessageVisibility":
        return ways.garbage_that_cannot_be_kept(grant.function)
    if grant.action.startswith("sqs:"):
        return ways.garbage(grant.function)
    known = WAYS[grant.function]
    return known.get(about(grant)) or known.get(grant.action) or known[ALL]


def about(grant: Grant) -> str:
    """`s3:ListBucket on originals`; the same action may be granted on two buckets."""
    bucket = re.fullmatch(r"Bucket([A-Z][a-z]+)(?:Itself|Objects)", grant.sid)
    return f"{grant.action} on {bucket[1].lower()}" if bucket else grant.action


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
    """The line that tells that the function failed, and which action it missed."""
    operations = "|".join(OPERATIONS.get(grant.action, [grant.action.partition(":")[2]]))
    pattern = re.compile(rf"{REFUSED}.*when calling the ({operations}) operation")
    return next(
        (
            line
            for line in lines
            if grant.function in line and FAILED.search(line) and pattern.search(line)
        ),
        None,
    )


def missed(stage: Stage, grant: Grant, folder: Path) -> str | None:
    """What is told when `grant` is taken away and its way is gone; None when nobody notices."""
    way = way_of(grant)
    assert way is not None, f"no way of {grant}"
    log = Log(log_of(stage, grant.function))
    with stage.roles.without(grant):
        stage.fresh(grant.function)
        for _ in range(GOES):
            going = Going(way, Run(stage, grant), folder)
            line = going.missed(lambda: told(grant, log.lines()))
            if line is not None or going.error is None:
                return line
    return None


@dataclass
class Going:
    """A grant's way, gone in a thread of its own."""

    way: Way
    run: Run
    folder: Path
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        try:
            self.way(self.run, self.folder)
        except Exception as error:  # noqa: BLE001  without a right it may end in any manner
            self.error = error

    def missed(self, told: Callable[[], str | None]) -> str | None:
        """What is told while the way is gone, or soon after; nothing when it is never told."""
        give_up_at = None
        while (line := told() or self._refusal()) is None:
            if not self._thread.is_alive():
                give_up_at = give_up_at or time.monotonic() + SETTLING_SECONDS
                if time.monotonic() > give_up_at:
                    break
            time.sleep(SEEN_EVERY_SECONDS)
        self.run.stop.set()
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), f"the way of {self.run.grant} does not end"
        return line

    def _refusal(self) -> str | None:
        """What the way met itself, where it is not told in a log: a link that nobody may follow."""
        refused = isinstance(self.error, ways.LinkRefusedError | ways.InvocationFailedError)
        return str(self.error) if refused else None


def fresh(function: str) -> None:
    """Ends the execution environments of a function in this process's workers and API, so that its
    next event finds one that knows nothing yet: no secret, no connection."""
    ended = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                _parent(_parent(process.name)) == str(os.getpid())
                and b"services.runtime.environment" in (process / "cmdline").read_bytes()
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
