"""1,000 messages with poison, crashes, duplicates in one receive, refused deletes, slow and lost
answers: every message is accounted for, nothing leaks, and operators see what is so."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from services.local import emulator as emulators
from services.local import status
from services.local.provision import FunctionQueue
from services.local.state import LabFiles, LabState, LabStatus
from services.monitoring import dead_letters
from tests.integration.worker.conftest import Start
from tests.integration.worker.support import Queues, RunningWorker
from tests.support.fault_proxy import Fault, Rule, fault_proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

FUNCTION = "tested-function"
MESSAGES, POISON, CRASHES = 1000, 10, 3
LEASE_SECONDS = 6
POLLERS = 2
STALE = "stale-receipt-"
# The worker's AWS clients keep up to this many connections, see supervisor.Worker.
CONNECTIONS_MAX = 2 * (2 * POLLERS + 2)

HANDLER = """
import json, os
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import queue_function

def work(message):
    if message.body.startswith("poison"):
        raise PermanentError(f"cannot process {{message.body}}")
    if message.body.startswith("defect"):
        raise LookupError(f"no {{message.body}}")
    if message.receive_count == 1 and message.body.startswith("crash"):
        os._exit(3)
    if message.receive_count == 1 and message.body.startswith("slow"):
        raise TransientError("later")
    with open({done!r}, "a") as file:
        file.write(message.body + "\\n")

handler = queue_function(work)
"""

# Shares of the requests of each action.
FAULTS = (
    Rule("ReceiveMessage", Fault.SLOW, 0.02),
    Rule("ReceiveMessage", Fault.LOST, 0.02),
    Rule("ReceiveMessage", Fault.RESET, 0.02),
    Rule("ReceiveMessage", Fault.UNAVAILABLE, 0.02),
    Rule("DeleteMessageBatch", Fault.SLOW, 0.03),
    Rule("DeleteMessageBatch", Fault.LOST, 0.03),
    Rule("DeleteMessageBatch", Fault.RESET, 0.03),
    Rule("DeleteMessageBatch", Fault.FAILED, 0.03),
    Rule("DeleteMessageBatch", Fault.DENIED, 0.03),
    Rule("ChangeMessageVisibilityBatch", Fault.LOST, 0.2),
    Rule("ChangeMessageVisibilityBatch", Fault.DENIED, 0.1),
    Rule("SendMessage", Fault.LOST, 0.1),
    Rule("SendMessage", Fault.UNAVAILABLE, 0.2),
)
REFUSED_DELETES = (Rule("DeleteMessageBatch", Fault.DENIED), *FAULTS)


def body(number: int) -> str:
    """Five messages fail for good at once, five only after all their receives; three end their
    process at the first receive, and one in fifty is retried."""
    kinds = {7: "poison", 57: "defect"}
    if number % 100 in kinds and number < 100 * POISON // 2:
        return f"{kinds[number % 100]} {number}"
    if number in (333, 555, 777):
        return f"crash {number}"
    return f"slow {number}" if number % 50 == 3 else f"good {number}"


BAD = {body(n) for n in range(MESSAGES) if body(n).startswith(("poison", "defect"))}


def duplicate(action: str, answer: bytes) -> bytes:
    """Every fifth message of a receive twice: first with a receipt that is not valid any more."""
    document = json.loads(answer) if action == "ReceiveMessage" else {}
    messages = []
    for message in document.get("Messages", []):
        if int(message["MessageId"][-4:], 16) % 5 == 0:
            messages.append(message | {"ReceiptHandle": STALE + message["ReceiptHandle"]})
        messages.append(message)
    return json.dumps(document | {"Messages": messages}).encode() if messages else answer


def held(pid: int) -> dict[str, int]:
    """What a process holds: descriptors, threads, and children with zombies."""
    process = Path(f"/proc/{pid}")
    tasks = list((process / "task").iterdir())
    return {
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": len(tasks),
        "children": sum(len((task / "children").read_text().split()) for task in tasks),
    }


def not_sent_by_the_function(worker: RunningWorker) -> set[str]:
    """The bodies of messages whose dead letter the function could not send at some receive, since
    every attempt of its SDK met a fault."""
    ids = {line["message_id"] for line in worker.events("dead_letter_send_failed")}
    reasons = {
        line["reason"] for line in worker.events("message_failed") if line["message_id"] in ids
    }
    return {body for body in BAD if any(reason.endswith(body) for reason in reasons)}


def test_thousand_messages_with_faults_are_all_accounted_for(
    start: Start, queues: Queues, emulator: emulators.Emulator, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    dead_arn = queues.sqs.get_queue_attributes(
        QueueUrl=queues.dead_url, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": "5"}
    queues.sqs.set_queue_attributes(
        QueueUrl=queues.url, Attributes={"RedrivePolicy": json.dumps(redrive)}
    )
    lab = LabState(
        LabStatus.READY,
        0,
        endpoint=emulator.endpoint,
        queues={FUNCTION: FunctionQueue(queues.url, "", queues.dead_url, "")},
    )

    def report() -> status.LabReport:
        return status.report(lab, LabFiles(tmp_path))

    def done_bodies() -> Counter[str]:
        return Counter(done.read_text().splitlines() if done.exists() else [])

    with (
        fault_proxy(
            emulator.endpoint,
            rewrite=duplicate,
            recorded=frozenset({"DeleteMessageBatch", "ChangeMessageVisibilityBatch"}),
        ) as proxy,
        start(
            HANDLER.format(done=str(done)),
            endpoint=proxy.url,
            batch_size=10,
            max_receive_count=5,
            WORKER_CONCURRENCY=POLLERS,
            WORKER_VISIBILITY_SECONDS=LEASE_SECONDS,
            WORKER_BACKOFF_BASE_SECONDS=1,
            WORKER_STATUS_FILE=tmp_path / "worker-1-status.json",
        ) as worker,
    ):
        worker.await_event("environment_started", 2)
        queues.send(*(f"first {n}" for n in range(60)))
        eventually(queues.empty, "a worker without faults processes messages")
        before = held(worker.process.pid)

        proxy.rules = REFUSED_DELETES
        queues.send(*(body(n) for n in range(MESSAGES)))
        refusal = f"{FUNCTION} cannot use its queue: delete: AccessDenied"
        eventually(lambda: refusal in str(report().problems), "status says what is refused")
        # A worker that cannot delete does no further work: two batches in hand for each poller.
        assert done_bodies().total() <= 60 + 2 * 2 * 10
        proxy.rules = FAULTS
        eventually(queues.empty, "the queue is empty", 120)
        proxy.rules = ()
        faults = proxy.faults.copy()

        # A refused call that nothing repeats stays visible for some minutes.
        assert all("change-visibility" in problem for problem in report().problems)
        found = done_bodies()
        assert {one for one in found if not one.startswith("first")} == {
            body(n) for n in range(MESSAGES)
        } - BAD
        # Only messages beside one that ended the process are processed twice.
        assert found.total() - len(found) <= CRASHES * 9

        listing = dead_letters.survey(queues.sqs, lab.queues)
        assert {letter.body for letter in listing.letters} == BAD
        assert not listing.unread
        # A letter is sent again when the answer to its sending was lost.
        assert len(listing.letters) <= len(BAD) + faults["SendMessage", Fault.LOST]
        depths = eventually(lambda: report().queues, "the emulator answers in time")
        assert depths == {FUNCTION: status.QueueDepth(0, 0, len(listing.letters))}
        unsent = not_sent_by_the_function(worker)
        for letter in listing.letters:
            if letter.error_type == "unknown":
                # SQS moved it by itself: the answer to its last receive was lost.
                assert letter.body.startswith("defect")
                assert faults["ReceiveMessage", Fault.LOST]
                continue
            if letter.error_type == "BatchItemFailure" and letter.body in unsent:
                # The worker sent it: the function could not at its last receive.
                assert letter.attempts == 5
                continue
            permanent = letter.body.startswith("poison")
            assert letter.error_type == ("PermanentError" if permanent else "LookupError")
            assert letter.body in letter.reason
            assert letter.attempts == 1 or not permanent or letter.body in unsent

        # Nothing leaks: no lease is renewed, no superseded receipt was used, no process is left.
        renewals = proxy.requests["ChangeMessageVisibilityBatch"]
        time.sleep(LEASE_SECONDS / 2)
        assert proxy.requests["ChangeMessageVisibilityBatch"] == renewals
        assert not any(STALE.encode() in sent for _, sent in proxy.bodies)
        after = held(worker.process.pid)
        assert after["children"] == before["children"]
        # The worker starts a thread for the deletes of each poller when two delete at a time, which
        # the first messages may not have made necessary. A thread leaked by each crash is more.
        assert 0 <= after["threads"] - before["threads"] < POLLERS < CRASHES
        assert after["descriptors"] <= before["descriptors"] + CONNECTIONS_MAX
        assert {fault for _, fault in faults} >= {
            Fault.SLOW, Fault.LOST, Fault.RESET, Fault.DENIED, Fault.FAILED, Fault.UNAVAILABLE
        }  # fmt: skip
        worker.terminate()
        assert worker.exit_code() == 0
