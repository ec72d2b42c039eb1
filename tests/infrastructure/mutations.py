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


def ways_of(grant: Grant) -> Sequence[Way]:
    """The ways that need a grant, the most likely first."""
    function, action = grant.function, grant.action
    if action == "sqs:ChangeMessageVisibility":
        return [ways.garbage_that_cannot_be_kept(function)]
    if action.startswith("sqs:"):
        return [ways.garbage(function)]
    mail = MAIL_WAYS.get(function)
    if mail is not None:
        first, again = mail
        if action == "dynamodb:GetItem":
            return [again]
        if action == "dynamodb:DeleteItem":
            return [ways.mail_refused(function, first)]
        return [first]
    found = WAYS[function]
    if action == "states:SendTaskFailure":
        return [*found[1:], ways.exhaust(function, found[0])]
    if action == "dynamodb:DeleteItem" and function in WITH_PROVIDER:
        return [ways.provider_refuses(found[-1], function)]
    return found


# The way of the e-mail, and one on which its event comes again.
MAIL_WAYS: dict[str, tuple[Way, Way]] = {
    "send-image-email": (ways.develop, ways.hear_of_a_photo_twice),
    "send-order-confirmation": (ways.ship, ways.hear_of_an_order_again),
    "send-order-problem": (ways.declined, ways.hear_of_a_problem_again),
    "send-order-shipped": (ways.ship, ways.hear_of_an_order_again),
    "send-payment-receipt": (ways.ship, ways.hear_of_an_order_again),
}
WITH_PROVIDER = {"process-payment", "fail-order", "record-payment"}
WAYS: dict[str, list[Way]] = {
    "authorize-request": [ways.join, ways.stay],
    "cancel-order": [ways.cancel],
    "check-inventory": [ways.ship, ways.out_of_stock],
    "close-session": [ways.join, ways.leave_everywhere],
    "create-order": [ways.ship],
    "create-user": [ways.join],
    "delete-image": [ways.delete],
    "fail-order": [ways.fail, ways.cancel],
    "fulfill-order": [ways.ship, ways.cancel, ways.lose_the_thumbnail, ways.lose_the_original],
    "get-image": [ways.develop],
    "get-order": [ways.ship],
    "list-images": [ways.develop],
    "list-orders": [ways.ship],
    "list-products": [ways.ship],
    "list-users": [ways.administer],
    "migrate-database": [ways.migrate],
    "notify-out-of-stock": [ways.out_of_stock],
    "notify-payment-declined": [ways.declined],
    "open-session": [ways.join],
    "process-image": [ways.develop, ways.delete],
    "process-payment": [ways.ship, ways.declined, ways.fail, ways.ship],
    "receive-payment": [ways.notice, ways.notice_untold],
    "record-payment": [ways.ship, ways.pay_too_late],
    "release-stock": [ways.declined],
    "request-upload": [ways.develop],
    "validate-order": [ways.ship, ways.rejected],
}


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
    """What is told when `grant` is taken away; None when nobody notices."""
    for way in ways_of(grant):
        if line := _missed_on(stage, grant, way, folder):
            return line
    return None


def _missed_on(stage: Stage, grant: Grant, way: Way, folder: Path) -> str | None:
    log, run = Log(log_of(stage, grant.function)), Run(stage, grant)
    errors: list[BaseException] = []

    def go() -> None:
        try:
            way(run, folder)
        except Exception as error:  # noqa: BLE001  a way without a right may fail in any manner
            errors.append(error)

    with stage.roles.without(grant):
        stage.fresh(grant.function)
        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        line, give_up_at = None, None
        while line is None:
            line = told(grant, log.lines())
            for error in errors:
                if isinstance(error, ways.LinkRefusedError | ways.InvocationFailedError):
                    line = line or str(error)
            if not thread.is_alive():
                give_up_at = give_up_at or time.monotonic() + SETTLING_SECONDS
                if time.monotonic() > give_up_at:
                    break
            time.sleep(SEEN_EVERY_SECONDS)
        run.stop.set()
        thread.join(60)
    return line


def fresh(function: str) -> None:
    """Ends the execution environments of a function in this process's workers and API, so that its
    next event finds one that knows nothing yet: no secret, no connection."""
    ours = {str(os.getpid())}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                _parent(_parent(process.name)) in ours
                and b"services.worker.environment" in (process / "cmdline").read_bytes()
                and (process / "cwd").resolve() == PROJECT / "images" / function
            ):
                os.kill(int(process.name), signal.SIGKILL)


def _parent(pid: str) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[1]
