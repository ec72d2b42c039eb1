"""What a function gets and what its answer does, with a real runtime and a real queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from services.runtime.execution import Environment, Outcome
from services.runtime.function import Function
from tests.integration.worker.conftest import Start
from tests.integration.worker.support import ROOT, Queues, write_function
from tests.support.waiting import eventually


def test_a_function_gets_lambdas_event_and_its_messages_are_deleted(
    start: Start, queues: Queues
) -> None:
    (message_id,) = queues.send("hello", colour="blue")
    with start(
        """
        import json, os
        def handler(event, context):
            print(json.dumps({"event": "seen", "sqs": event, "name": context.function_name,
                              "left": context.get_remaining_time_in_millis(),
                              "arn": context.invoked_function_arn,
                              "memory": context.memory_limit_in_mb,
                              "request_id": context.aws_request_id,
                              "cwd": os.getcwd(), "root": os.environ["LAMBDA_TASK_ROOT"],
                              "worker_variables": [n for n in os.environ if n.startswith("WORKER")],
                              "dead": os.environ["DEAD_LETTER_QUEUE_URL"],
                              "max": os.environ["MAX_RECEIVE_COUNT"]}))
            print("plain words")
        """
    ) as worker:
        (report,) = worker.reports()
        (seen,) = worker.events("seen")
        (plain,) = worker.events("plain words")
        eventually(queues.empty, "the message is deleted")
    (record,) = seen["sqs"]["Records"]
    assert record["messageId"] == message_id
    assert record["body"] == "hello"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":" + queues.url.rsplit("/", 1)[1])
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["colour"] == {
        "stringValue": "blue",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "String",
    }
    assert seen["name"] == "tested-function"
    assert 9_000 < seen["left"] <= 10_000
    assert seen["memory"] == "256"
    assert seen["arn"].startswith("arn:aws:lambda:")
    assert seen["cwd"] == seen["root"]
    assert seen["worker_variables"] == []
    assert (seen["dead"], seen["max"]) == (queues.dead_url, "3")
    assert seen["request_id"] == plain["request_id"] == report["request_id"]
    assert report["outcome"] == "success"
    assert report["cold"] is True
    assert report["billed_duration_ms"] >= report["init_duration_ms"]
    assert 5 < report["max_memory_used_mib"] < 256
    lines = [line["event"] for line in worker.lines()]
    assert lines.index("seen") < lines.index("plain words") < lines.index("report")


def test_only_reported_messages_come_back(start: Start, queues: Queues) -> None:
    bodies = [json.dumps({"n": n}) for n in range(10)]
    queues.send(*bodies)
    with start(
        """
        import json
        def handler(event, context):
            bad = [r for r in event["Records"] if json.loads(r["body"])["n"] in (3, 7)]
            print(json.dumps({"event": "batch", "n": [json.loads(r["body"])["n"]
                                                      for r in event["Records"]]}))
            return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in bad]}
        """,
        batch_size=10,
    ) as worker:
        batches = worker.await_event("batch", 3)
        eventually(queues.empty, "nothing is left")
        dead = eventually(queues.dead, "the two are dead letters")
    assert sorted(n for n in batches[0]["n"]) == list(range(10))
    assert [sorted(batch["n"]) for batch in batches[1:3]] == [[3, 7], [3, 7]]
    assert sorted(json.loads(message["Body"])["n"] for message in dead) == [3, 7]
    reasons = {message["MessageAttributes"]["error_type"]["StringValue"] for message in dead}
    assert reasons == {"BatchItemFailure"}


def test_an_unknown_identifier_fails_the_whole_batch(start: Start, queues: Queues) -> None:
    queues.send("a", "b", "c")
    with start(
        """
        def handler(event, context):
            return {"batchItemFailures": [{"itemIdentifier": "unknown"}]}
        """,
        batch_size=10,
    ):
        dead = eventually(queues.dead, "the batch is dead after three receives")
        eventually(queues.empty, "nothing is left")
        dead += queues.dead()
    assert sorted(message["Body"] for message in dead) == ["a", "b", "c"]
    assert {m["MessageAttributes"]["error_type"]["StringValue"] for m in dead} == {
        "MalformedResponse"
    }


def test_a_window_gathers_more_than_one_receive_brings(start: Start, queues: Queues) -> None:
    queues.send(*[str(n) for n in range(25)])
    with start(
        "def handler(event, context): pass", batch_size=25, batch_window_seconds=2
    ) as worker:
        (report,) = worker.reports()
        eventually(queues.empty, "all deleted")
    assert report["records"] == 25


def test_several_environments_work_at_the_same_time(start: Start, queues: Queues) -> None:
    queues.send("a", "b", "c")
    with start(
        """
        import time
        def handler(event, context): time.sleep(1.5)
        """,
        WORKER_CONCURRENCY=3,
    ) as worker:
        worker.await_event("environment_started", 3)
        reports = worker.reports(3)
        eventually(queues.empty, "all deleted")
    assert len({report["request_id"] for report in reports}) == 3
    assert all(report["cold"] for report in reports), "each environment took one"


def test_a_poison_message_becomes_a_dead_letter_with_its_reason(
    start: Start, queues: Queues
) -> None:
    queues.send("poison", colour="green")
    with start(
        """
        def handler(event, context):
            raise ValueError("cannot swallow this")
        """
    ) as worker:
        reports = worker.reports(3)
        (dead,) = eventually(queues.dead, "a dead letter")
        eventually(queues.empty, "nothing is left")
    attributes = {k: v["StringValue"] for k, v in dead["MessageAttributes"].items()}
    assert dead["Body"] == "poison"
    assert attributes["colour"] == "green"
    assert attributes["reason"] == "cannot swallow this"
    assert attributes["error_type"] == "ValueError"
    assert attributes["attempts"] == "3"
    assert attributes["function"] == "tested-function"
    assert attributes["request_id"] == reports[2]["request_id"]
    assert attributes["failed_at"].endswith("Z")
    assert [report["outcome"] for report in reports] == ["error"] * 3


def test_health_is_told_while_the_queue_answers(
    start: Start, queues: Queues, tmp_path: Path
) -> None:
    file = tmp_path / "health" / "file"
    with start("def handler(event, context): pass", WORKER_HEALTH_FILE=file) as worker:
        eventually(file.exists, "the health file")
        first = file.stat().st_mtime_ns
        eventually(lambda: file.stat().st_mtime_ns > first, "it is touched again")
        asked = subprocess.run(
            [sys.executable, "-m", "services.worker", "health"],
            cwd=ROOT,
            env={**os.environ, "WORKER_HEALTH_FILE": str(file)},
            check=False,
        )
        assert asked.returncode == 0
        worker.terminate()
        assert worker.exit_code() == 0


def test_a_worker_without_an_environment_is_not_healthy(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "health"
    with start("raise ValueError", await_start=False, WORKER_HEALTH_FILE=file) as worker:
        worker.await_event("init_failed", 2)
        assert not file.exists()


def test_environments_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    folder = write_function(
        tmp_path / "function",
        """
        import os
        def handler(event, context):
            print("seen")
            if event: os._exit(1)
            return "ok"
        """,
    )
    function = Function("function", folder, 256, 10, "arn", 10, {})

    def one_life() -> None:
        environment = Environment(function)
        environment.start()
        assert environment.ready()
        assert environment.invoke(b"false").payload == b'"ok"'
        assert environment.ready()
        assert environment.invoke(b"true").outcome is Outcome.EXIT
        assert not environment.ready()
        environment.close()
        environment.close()

    def in_use() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    one_life()
    before = in_use()
    for _ in range(5):
        one_life()
    assert in_use() == before
