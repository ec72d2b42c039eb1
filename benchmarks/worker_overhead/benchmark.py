"""What the worker costs: messages a second with a no-op function, against a bare SQS loop.

    python -m benchmarks.worker_overhead.benchmark [--rounds N] [--messages N] [--json]

See README.md beside this file for the method.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from services.local import emulator as emulators

ROOT = Path(__file__).resolve().parents[2]
BODY = "x" * 1024
SEND_BATCH = 10
GIVE_UP_SECONDS = 300
HANDLER = "def handler(event, context):\n    return {'batchItemFailures': []}\n"
MANIFEST = """\
description: Does nothing.
memory_mib: 128
timeout_seconds: 30
trigger:
  queue:
    batch_size: {batch_size}
    batch_window_seconds: 0
    maximum_concurrency: 2
    max_receive_count: 5
    sources: []
grants: []
environment: {{}}
budgets: {{image_mib_over_base: 1, init_ms: 1000}}
"""


@dataclass(frozen=True)
class Case:
    """One way to work off a queue; `against` names the case that its ratio refers to."""

    name: str
    run: Callable[[Any, str, str, int], float]
    against: str | None = None


@dataclass(frozen=True)
class Figure:
    """Messages a second over all rounds, and the ratio to the loop of the same batch size."""

    name: str
    messages_per_second: float
    lowest: float
    highest: float
    ratio: float | None


def bare_loop(batch_size: int) -> Callable[[Any, str, str, int], float]:
    """Receives and deletes in one thread with nothing in between; messages a second."""

    def run(sqs: Any, url: str, _endpoint: str, messages: int) -> float:
        began = time.perf_counter()
        done = 0
        while done < messages:
            received = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=batch_size,
                VisibilityTimeout=30,
                WaitTimeSeconds=20,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]}
                    for i, m in enumerate(received)
                ],
            )
            done += len(received)
        return done / (time.perf_counter() - began)

    return run


def worker(batch_size: int, concurrency: int) -> Callable[[Any, str, str, int], float]:
    """A real worker process on a filled queue, from its first environment's start to the report
    of its last invocation; messages a second."""

    def run(_sqs: Any, url: str, endpoint: str, messages: int) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "no-op"
            folder.mkdir()
            (folder / "handler.py").write_text(HANDLER)
            (folder / "function.yaml").write_text(MANIFEST.format(batch_size=batch_size))
            log_file = Path(scratch) / "worker.log"
            with log_file.open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "services.worker", "--function", str(folder)],
                    cwd=ROOT,
                    env={
                        "PATH": os.environ.get("PATH", ""),
                        **emulators.aws_environment(endpoint),
                        "WORKER_QUEUE_URL": url,
                        "WORKER_CONCURRENCY": str(concurrency),
                        "WORKER_POLL_WAIT_SECONDS": "1",
                    },
                    stdout=log,
                    stderr=log,
                )
            try:
                return _rate(process, log_file, messages)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)

    return run


def _rate(process: subprocess.Popen[bytes], log_file: Path, messages: int) -> float:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while True:
        # Rarely, so that looking does not cost the worker its processor.
        time.sleep(0.5)
        text = log_file.read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        reports = [line for line in lines if line["event"] == "report"]
        if sum(line["records"] for line in reports) >= messages:
            (began, *_) = (x["timestamp"] for x in lines if x["event"] == "environment-started")
            ended = datetime.fromisoformat(reports[-1]["timestamp"])
            return messages / (ended - datetime.fromisoformat(began)).total_seconds()
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"the worker did not get through: {text[-2000:]}")


CASES = (
    Case("loop, batch 10", bare_loop(10)),
    Case("worker, batch 10, 1 environment", worker(10, 1), "loop, batch 10"),
    Case("worker, batch 10, 2 environments", worker(10, 2), "loop, batch 10"),
    Case("loop, batch 1", bare_loop(1)),
    Case("worker, batch 1, 1 environment", worker(1, 1), "loop, batch 1"),
    Case("worker, batch 1, 2 environments", worker(1, 2), "loop, batch 1"),
)


def measure(rounds: int, messages: int) -> list[Figure]:
    """All cases in turn, `rounds` times, on one emulator."""
    rates: dict[str, list[float]] = {case.name: [] for case in CASES}
    with (
        tempfile.TemporaryDirectory() as scratch,
        emulators.running(Path(scratch) / "emulator.log") as emulator,
    ):
        sqs = boto3.client(
            "sqs",
            endpoint_url=emulator.endpoint,
            region_name=emulators.REGION,
            aws_access_key_id=emulators.ACCESS_KEY_ID,
            aws_secret_access_key=emulators.SECRET_ACCESS_KEY,
        )
        for turn in range(rounds):
            for number, case in enumerate(CASES):
                url = sqs.create_queue(QueueName=f"turn-{turn}-case-{number}")["QueueUrl"]
                fill(sqs, url, messages)
                rates[case.name].append(case.run(sqs, url, emulator.endpoint, messages))
                sqs.delete_queue(QueueUrl=url)
                print(f"{case.name}: {rates[case.name][-1]:.0f}/s", file=sys.stderr)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return [
        Figure(
            name=case.name,
            messages_per_second=round(middle[case.name], 1),
            lowest=round(min(rates[case.name]), 1),
            highest=round(max(rates[case.name]), 1),
            ratio=round(middle[case.name] / middle[case.against], 3) if case.against else None,
        )
        for case in CASES
    ]


def fill(sqs: Any, url: str, messages: int) -> None:
    for start in range(0, messages, SEND_BATCH):
        sqs.send_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(i), "MessageBody": BODY}
                for i in range(min(SEND_BATCH, messages - start))
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2000, help="in each case and round")
    parser.add_argument("--json", action="store_true", help="one array on stdout")
    options = parser.parse_args()
    figures = measure(options.rounds, options.messages)
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures]))
        return
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} of the loop"
        print(
            f"{figure.name:34} {figure.messages_per_second:7.0f}/s "
            f"({figure.lowest:.0f}-{figure.highest:.0f})  {ratio}"
        )


if __name__ == "__main__":
    main()
