"""Removes one grant, runs the scenario that needs it, and searches the log for the failure."""

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
from tests.infrastructure.roles import Grant
from tests.infrastructure.scenarios import accounts, console, orders, photos, queues
from tests.infrastructure.scenarios.run import (
    InvocationFailedError,
    LinkRefusedError,
    RunningLab,
    Scenario,
    ScenarioRun,
)
from tests.support.waiting import eventually, scaled

# Asynchronous work may continue after the scenario has killed.
SETTLING_SECONDS = 8
STOP_SECONDS = 60
# A call may reach an environment that was just killed, and fails for that reason.
ATTEMPTS = 3
POLL_SECONDS = 0.1
# Names of SDK operations, where they differ from the action.
OPERATIONS = {
    "s3:GetObjectVersion": ["GetObject"],
    "s3:ListBucket": ["ListObjectsV2"],
    "s3:DeleteObject": ["DeleteObject", "DeleteObjects"],
    "s3:DeleteObjectVersion": ["DeleteObject", "DeleteObjects"],
    "s3:ListBucketVersions": ["ListObjectVersions"],
    "dynamodb:PutItem": ["PutItem", "TransactWriteItems"],
    "dynamodb:UpdateItem": ["UpdateItem", "TransactWriteItems"],
    "dynamodb:DeleteItem": ["DeleteItem", "TransactWriteItems"],
    "dynamodb:ConditionCheckItem": ["TransactWriteItems"],
    "sqs:DeleteMessage": ["DeleteMessage", "DeleteMessageBatch"],
    "sqs:ChangeMessageVisibility": ["ChangeMessageVisibilityBatch"],
}
REFUSED = r"(AccessDenied\w*|AuthorizationError)"
# Log events of work that failed: it is retried, becomes a dead letter, or is answered with 5xx.
FAILED = re.compile(
    r'"(message_failed|task_answer_failed|dead_letter_send_failed|queue_refused|request_failed'
    r'|interrupted_order_search_failed|order_start_failed|account_erasure_\w*failed)"'
    r'|"errorMessage"'
)

ALL = "*"
# By function, then by action: the scenario that needs it. `ALL` covers all other actions.
SCENARIOS: dict[str, dict[str, Scenario]] = {
    "add-avif": {
        ALL: photos.add_avif,
        **dict.fromkeys(
            ["s3:DeleteObject", "s3:ListBucket", "dynamodb:DeleteItem"],
            photos.add_avif_to_deleted_photo,
        ),
    },
    "authorize-request": {
        ALL: accounts.use_api_key,
        "dynamodb:UpdateItem": accounts.renew_session_and_use_api_key,
    },
    "cancel-order": {ALL: orders.cancel_paid_order},
    "change-email-settings": {
        ALL: accounts.change_email_settings,
    },
    "change-password": {ALL: accounts.change_password},
    "check-inventory": {
        ALL: orders.ship_order,
        "states:SendTaskFailure": orders.order_out_of_stock,
    },
    "close-session": {ALL: accounts.sign_out_everywhere},
    "close-other-sessions": {ALL: accounts.revoke_sessions},
    "confirm-user": {ALL: accounts.sign_up_and_out},
    "create-api-key": {ALL: accounts.use_api_key},
    "create-order": {ALL: orders.ship_order},
    "create-user": {ALL: accounts.sign_up_and_out},
    "delete-image": {ALL: photos.delete_photo},
    "delete-webhook": {ALL: accounts.use_webhooks},
    "delete-user": {ALL: accounts.delete_account},
    "erase-accounts": {ALL: accounts.delete_account},
    "discard-dead-letters": {ALL: console.resolve("discards")},
    "export-account": {ALL: accounts.export_account},
    "fail-order": {
        ALL: orders.order_failed,
        "dynamodb:DeleteItem": orders.with_provider_refusing(orders.order_failed, "fail-order"),
        "states:SendTaskFailure": orders.with_receives_exhausted("fail-order", orders.order_failed),
    },
    "fulfill-order": {
        ALL: orders.ship_order,
        "s3:DeleteObject": orders.cancel_paid_order,
        "states:SendTaskFailure": orders.cancel_paid_order,
    },
    "get-image": {ALL: photos.develop_photo},
    "get-lab-status": {
        ALL: console.show("status"),
        **dict.fromkeys(["lambda:GetFunction", "ssm:GetParameter"], console.show("releases")),
    },
    "get-order": {ALL: orders.ship_order},
    "get-trace": {ALL: console.show("traces/0123456789")},
    "list-api-keys": {ALL: accounts.use_api_key},
    "list-dead-letters": {ALL: console.list_dead_letters},
    "list-images": {ALL: photos.develop_photo},
    "list-lab-orders": {ALL: console.show("orders")},
    "list-orders": {ALL: orders.ship_order},
    "list-products": {ALL: orders.ship_order},
    "list-sessions": {ALL: accounts.revoke_sessions},
    "list-stock": {ALL: console.show("stock")},
    "list-webhooks": {ALL: accounts.use_webhooks},
    "list-users": {ALL: accounts.list_users},
    "manage-export": {ALL: accounts.export_account},
    "manage-second-factor": {ALL: accounts.set_up_second_factor},
    "migrate-database": {ALL: orders.migrate_database},
    "notify-out-of-stock": {
        ALL: orders.order_out_of_stock,
        "states:SendTaskFailure": orders.with_receives_exhausted(
            "notify-out-of-stock", orders.order_out_of_stock
        ),
    },
    "notify-payment-declined": {
        ALL: orders.order_declined,
        "states:SendTaskFailure": orders.with_receives_exhausted(
            "notify-payment-declined", orders.order_declined
        ),
    },
    "open-session": {ALL: accounts.sign_in_from_new_network},
    "process-image": {
        ALL: photos.develop_photo,
        **dict.fromkeys(
            [
                "s3:DeleteObject",
                "s3:ListBucket",
                "dynamodb:DeleteItem",
                "dynamodb:ConditionCheckItem",
            ],
            photos.delete_photo,
        ),
        "s3:DeleteObjectVersion": photos.replay_upload_form,
    },
    "process-payment": {
        ALL: orders.ship_order,
        "states:SendTaskFailure": orders.order_declined,
        "dynamodb:GetItem": orders.order_failed,
        "dynamodb:DeleteItem": orders.with_provider_refusing(orders.ship_order, "process-payment"),
        **dict.fromkeys(
            [f"dynamodb:{action} on usage" for action in ("GetItem", "UpdateItem", "DeleteItem")],
            orders.order_declined,
        ),
    },
    "receive-payment": {
        ALL: orders.payment_webhook,
        "dynamodb:DeleteItem": orders.payment_webhook_not_published,
    },
    "record-payment": {
        ALL: orders.payment_after_cancellation,
        "dynamodb:DeleteItem": orders.with_provider_refusing(
            orders.payment_after_cancellation, "record-payment"
        ),
    },
    "record-bounce": {ALL: photos.bounce},
    "release-stock": {
        ALL: orders.order_declined,
        "states:SendTaskFailure": orders.with_receives_exhausted(
            "release-stock", orders.order_declined
        ),
    },
    "replay-dead-letters": {ALL: console.resolve("replays")},
    "request-password-reset": {ALL: accounts.reset_password},
    "reset-password": {ALL: accounts.reset_password},
    "request-upload": {ALL: photos.develop_photo},
    "revoke-session": {ALL: accounts.revoke_sessions},
    "run-operation": {
        ALL: accounts.run_operation,
        "sns:Publish": accounts.reset_second_factor,
    },
    "revoke-api-key": {ALL: accounts.use_api_key},
    "send-webhook": {
        ALL: photos.call_webhook,
        "dynamodb:UpdateItem on webhooks": photos.call_webhook_that_is_gone,
        "dynamodb:DeleteItem": photos.call_webhook_that_is_gone,
        "dynamodb:GetItem on idempotency": photos.call_webhook,
    },
    "set-webhook": {ALL: accounts.use_webhooks},
    "start-orders": {ALL: orders.start_interrupted_order},
    "try-webhook": {ALL: accounts.use_webhooks},
    "unsubscribe-recipient": {ALL: photos.unsubscribe},
    "validate-order": {
        ALL: orders.ship_order,
        "sns:Publish": orders.order_rejected,
        "states:SendTaskFailure": orders.order_rejected,
    },
    **{
        function: {
            ALL: scenario,
            "dynamodb:GetItem on idempotency": again,
            "dynamodb:GetItem on recipients": scenario,
            "dynamodb:UpdateItem on recipients": scenario,
            "dynamodb:DeleteItem": photos.with_mail_refused(function, scenario),
        }
        for function, scenario, again in (
            ("send-account-email", accounts.sign_up_and_out, accounts.repeat_sign_up_event),
            ("send-image-email", photos.develop_photo, photos.repeat_image_event),
            ("send-order-confirmation", orders.ship_order, orders.repeat_order_events),
            ("send-order-problem", orders.order_declined, orders.repeat_problem_event),
            ("send-order-shipped", orders.ship_order, orders.repeat_order_events),
            ("send-payment-receipt", orders.ship_order, orders.repeat_order_events),
        )
    },
}


# Without s3:ListBucket, S3 answers 403 for an object that does not exist. MiniStack answers 404, so
# the absence of these grants has no effect there:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
NOT_TESTABLE_ON_MINISTACK = {
    ("add-avif", "s3:ListBucket on originals"),
    ("fulfill-order", "s3:ListBucket on originals"),
    ("fulfill-order", "s3:ListBucket on renditions"),
    ("process-image", "s3:ListBucket on originals"),
    ("send-image-email", "s3:ListBucket on renditions"),
    # Without it, letters that were read become visible a minute later.
    ("list-dead-letters", "sqs:ChangeMessageVisibility"),
    ("replay-dead-letters", "sqs:ChangeMessageVisibility"),
    ("discard-dead-letters", "sqs:ChangeMessageVisibility"),
    # MiniStack knows no resource of a query over several log groups, and refuses it before.
    ("get-lab-status", "logs:GetQueryResults"),
    ("get-trace", "logs:GetQueryResults"),
}


def scenario_of(grant: Grant) -> Scenario | None:
    """The scenario that needs a grant; None where no emulator shows its absence."""
    if (grant.function, about(grant)) in NOT_TESTABLE_ON_MINISTACK:
        return None
    if grant.function in console.FUNCTIONS:
        of_function = SCENARIOS[grant.function]
        return of_function.get(grant.action) or of_function[ALL]
    if grant.action == "sqs:ChangeMessageVisibility":
        return queues.malformed_message_without_dead_letters(grant.function)
    if grant.action.startswith("sqs:"):
        return queues.malformed_message(grant.function)
    known = SCENARIOS[grant.function]
    return known.get(about(grant)) or known.get(grant.action) or known[ALL]


def about(grant: Grant) -> str:
    """`s3:ListBucket on originals`; the same action may be granted on two buckets or tables."""
    found = re.fullmatch(r"(?:Bucket|Table)([A-Z][a-z]+)(?:Itself|Objects|Indexes)?", grant.sid)
    return f"{grant.action} on {found[1].lower()}" if found else grant.action


@dataclass
class Log:
    """The lines that a process adds to its log from now on."""

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


def log_of(lab: RunningLab, function: str) -> Path:
    name = function if function in lab.output["queues"] else "gateway"
    return lab.environment.folder / f"{name}.log"


def failure_line(grant: Grant, lines: Sequence[str]) -> str | None:
    """The log line of a failure of the grant's function for lack of the grant; None without one."""
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


def failure_without(lab: RunningLab, grant: Grant, folder: Path) -> str | None:
    """Removes `grant`, runs its scenario, and returns the failure; None without a failure."""
    scenario = scenario_of(grant)
    assert scenario is not None, f"no scenario needs {grant}"
    log = Log(log_of(lab, grant.function))
    with lab.roles.without(grant):
        lab.restart(grant.function)
        for _ in range(ATTEMPTS):
            thread = ScenarioThread(scenario, ScenarioRun(lab, grant), folder)
            line = thread.failure_without(lambda: failure_line(grant, log.lines()))
            if line is not None or thread.error is None:
                return line
    return None


@dataclass
class ScenarioThread:
    """A scenario that runs in a thread."""

    scenario: Scenario
    run: ScenarioRun
    folder: Path
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        try:
            self.scenario(self.run, self.folder)
        except Exception as error:  # noqa: BLE001  without the grant any exception may occur
            self.error = error

    def failure_without(self, failure_line: Callable[[], str | None]) -> str | None:
        """The failure that occurs during the scenario or soon after it; None without one."""
        give_up_at = None
        while (line := failure_line() or self._refusal()) is None:
            if not self._thread.is_alive():
                give_up_at = give_up_at or time.monotonic() + scaled(SETTLING_SECONDS)
                if time.monotonic() > give_up_at:
                    break
            time.sleep(POLL_SECONDS)
        self.run.stop.set()
        self._thread.join(scaled(STOP_SECONDS))
        assert not self._thread.is_alive(), f"the scenario of {self.run.grant} does not stop"
        return line

    def _refusal(self) -> str | None:
        """A failure that no log shows: a refused link or a failed direct invocation."""
        refused = isinstance(self.error, LinkRefusedError | InvocationFailedError)
        return str(self.error) if refused else None


def restart(function: str) -> None:
    """Kills the execution environments of a function in this process's workers and gateway, so
    that its next event runs in a new one, without cached secrets and connections."""
    killed = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                _parent(_parent(process.name)) == str(os.getpid())
                and b"services.runtime.environment" in (process / "cmdline").read_bytes()
                and (process / "cwd").resolve() == PROJECT / "images" / function
            ):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(process.name)
    eventually(
        lambda: not any(map(_is_running, killed)),
        f"the environments of {function} exit",
        STOP_SECONDS,
        pause_seconds=0.01,
    )


def _is_running(pid: str) -> bool:
    try:
        return _status(pid)[0] != "Z"
    except OSError:
        return False


def _parent(pid: str) -> str:
    return _status(pid)[1]


def _status(pid: str) -> list[str]:
    """State, parent and more: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
