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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from services.local import emulator as emulators
from services.runtime.execution import Environment
from services.runtime.function import Function

ROOT = Path(__file__).resolve().parents[2]
BODY = "x" * 1024
SEND_BATCH = 10
GIVE_UP_SECONDS = 300
HANDLER = "def handler(event, context):\n    return {'batchItemFailures': []}\n"
MANIFEST = """\
description: Does nothing.
feature: photos
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
    # A batch of one takes ten times as many calls: fewer messages make the same number of seconds.
    share: float = 1.0
    against: str | None = None


@dataclass(frozen=True)
class Figure:
    """Messages a second: the median, lowest and highest of all rounds; and the median of each
    round's ratio to the loop of the same batch size in the same round."""

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
        with started_worker(url, endpoint, batch_size, concurrency) as (process, log_file):
            return _rate(process, log_file, messages)

    return run


@contextmanager
def started_worker(
    url: str, endpoint: str, batch_size: int, concurrency: int
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A worker with the no-op function, and its log."""
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
            yield process, log_file
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def cpu_ms_per_message(messages: int) -> dict[str, float]:
    """Processor milliseconds a message takes, by process: the loop's, and the worker's and its
    environment's, which start idle so that their start does not count; and the emulator's for
    each. Unlike a rate it hardly depends on what else the machine does. Reads /proc: Linux."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "emulator.log"
        with emulators.running(log) as emulator:
            sqs = sqs_client(emulator.endpoint)
            looped = sqs.create_queue(QueueName="looped")["QueueUrl"]
            fill(sqs, looped, messages)
            served, began = cpu_ms(emulator.process.pid), time.process_time()
            bare_loop(10)(sqs, looped, emulator.endpoint, messages)
            figures = {
                "loop": (time.process_time() - began) * 1000,
                "emulator, for the loop": cpu_ms(emulator.process.pid) - served,
            }
            worked = sqs.create_queue(QueueName="worked")["QueueUrl"]
            with started_worker(worked, emulator.endpoint, 10, 1) as (process, log_file):
                while '"environment_started"' not in log_file.read_text():
                    time.sleep(0.1)
                (environment,) = (
                    json.loads(line)["pid"]
                    for line in log_file.read_text().splitlines()
                    if '"environment_started"' in line
                )
                # Full at once, as the worker would find it, or its batches would be small.
                os.kill(process.pid, signal.SIGSTOP)
                fill(sqs, worked, messages)
                pids = (process.pid, environment, emulator.process.pid)
                before = [cpu_ms(pid) for pid in pids]
                os.kill(process.pid, signal.SIGCONT)
                _rate(process, log_file, messages)
                spent = [cpu_ms(pid) - at for pid, at in zip(pids, before, strict=True)]
            names = ("worker", "environment", "emulator, for the worker")
            figures.update(zip(names, spent, strict=True))
    return {name: round(value / messages, 3) for name, value in figures.items()}


def cpu_ms(pid: int) -> float:
    """Processor time of a process so far: proc(5), fields utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _rate(process: subprocess.Popen[bytes], log_file: Path, messages: int) -> float:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while True:
        # Rarely, so that looking does not cost the worker its processor.
        time.sleep(0.5)
        text = log_file.read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        reports = [line for line in lines if line["event"] == "report"]
        if sum(line["records"] for line in reports) >= messages:
            (began, *_) = (x["timestamp"] for x in lines if x["event"] == "environment_started")
            ended = datetime.fromisoformat(reports[-1]["timestamp"])
            return messages / (ended - datetime.fromisoformat(began)).total_seconds()
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"the worker did not get through: {text[-2000:]}")


CASES = (
    Case("loop, batch 10", bare_loop(10)),
    Case("worker, batch 10, 1 environment", worker(10, 1), against="loop, batch 10"),
    Case("worker, batch 10, 2 environments", worker(10, 2), against="loop, batch 10"),
    Case("loop, batch 1", bare_loop(1), 0.2),
    Case("worker, batch 1, 1 environment", worker(1, 1), 0.2, "loop, batch 1"),
    Case("worker, batch 1, 2 environments", worker(1, 2), 0.2, "loop, batch 1"),
)


def measure(rounds: int, messages: int) -> list[Figure]:
    """All cases in turn, `rounds` times, on one emulator."""
    rates: dict[str, list[float]] = {case.name: [] for case in CASES}
    with (
        tempfile.TemporaryDirectory() as scratch,
        emulators.running(Path(scratch) / "emulator.log") as emulator,
    ):
        sqs = sqs_client(emulator.endpoint)
        for turn in range(rounds):
            for number, case in enumerate(CASES):
                url = sqs.create_queue(QueueName=f"turn-{turn}-case-{number}")["QueueUrl"]
                count = max(1, int(messages * case.share))
                fill(sqs, url, count)
                rates[case.name].append(case.run(sqs, url, emulator.endpoint, count))
                sqs.delete_queue(QueueUrl=url)
                print(f"{case.name}: {rates[case.name][-1]:.0f}/s", file=sys.stderr)
    return [
        Figure(
            name=case.name,
            messages_per_second=round(statistics.median(rates[case.name]), 1),
            lowest=round(min(rates[case.name]), 1),
            highest=round(max(rates[case.name]), 1),
            ratio=_ratio(rates[case.name], rates[case.against]) if case.against else None,
        )
        for case in CASES
    ]


def _ratio(rates: list[float], loop_rates: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(rates, loop_rates, strict=True)), 3)


def bare_invocations(seconds: float) -> float:
    """Milliseconds of a no-op invocation through the host alone: no queue, one environment."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "handler.py").write_text(HANDLER)
        environment = Environment(Function("no-op", folder, 128, 30, "arn", 10, {}))
        environment.start()
        try:
            count = 0
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                if not environment.ready():
                    raise RuntimeError("the environment ended")
                environment.invoke(b"{}")
                count += 1
            return (time.perf_counter() - began) * 1000 / count
        finally:
            environment.close()


def sqs_client(endpoint: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name=emulators.REGION,
        aws_access_key_id=emulators.ACCESS_KEY_ID,
        aws_secret_access_key=emulators.SECRET_ACCESS_KEY,
    )


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
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    options = parser.parse_args()
    figures = measure(options.rounds, options.messages)
    invocation_ms = round(bare_invocations(3), 3)
    cpu = cpu_ms_per_message(options.messages)
    if options.json:
        cases = [asdict(figure) for figure in figures]
        print(json.dumps({"cases": cases, "cpu_ms": cpu, "invocation_ms": invocation_ms}))
        return
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} of the loop"
        print(
            f"{figure.name:34} {figure.messages_per_second:7.0f}/s "
            f"({figure.lowest:.0f}-{figure.highest:.0f})  {ratio}"
        )
    for name, value in cpu.items():
        print(f"processor time a message, {name}: {value:.2f} ms")
    print(f"an invocation alone, without a queue: {invocation_ms:.2f} ms")


if __name__ == "__main__":
    main()
