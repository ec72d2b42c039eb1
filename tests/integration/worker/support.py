"""Real workers as processes, on queues of a real emulator, running handlers that a test writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from services.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, aws_environment
from tests.support.waiting import STEP_SECONDS, eventually, scaled

ROOT = Path(__file__).resolve().parents[3]


def client(endpoint: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3}),
    )


@dataclass(frozen=True)
class Queues:
    """A queue and its dead letter queue."""

    sqs: Any
    url: str
    dead_url: str

    def send(self, *bodies: str, **attributes: str) -> list[str]:
        """Sends messages; their ids."""
        ids = []
        for start in range(0, len(bodies), 10):
            answer = self.sqs.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(i),
                        "MessageBody": body,
                        "MessageAttributes": {
                            name: {"DataType": "String", "StringValue": value}
                            for name, value in attributes.items()
                        },
                    }
                    for i, body in enumerate(bodies[start : start + 10])
                ],
            )
            ids += [sent["MessageId"] for sent in answer["Successful"]]
        return ids

    def counts(self) -> tuple[int, int]:
        """Messages that are visible, and messages that are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def empty(self) -> bool:
        return self.counts() == (0, 0)

    def dead(self) -> list[dict[str, Any]]:
        """Takes all dead letters."""
        found: list[dict[str, Any]] = []
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=self.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            if not messages:
                return found
            for message in messages:
                self.sqs.delete_message(
                    QueueUrl=self.dead_url, ReceiptHandle=message["ReceiptHandle"]
                )
            found += messages


def make_queues(sqs: Any, name: str, max_receive_count: int = 3) -> Queues:
    dead_url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": str(max_receive_count)}
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)})
    return Queues(sqs, url["QueueUrl"], dead_url)


def write_function(
    folder: Path,
    handler: str,
    *,
    batch_size: int = 1,
    batch_window_seconds: int = 0,
    timeout_seconds: int = 10,
    memory_mib: int = 256,
    max_receive_count: int = 3,
) -> Path:
    """A function's folder with a manifest and `handler` as handler.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "handler.py").write_text(textwrap.dedent(handler))
    (folder / "function.yaml").write_text(
        f"""\
description: For a test.
feature: photos
memory_mib: {memory_mib}
timeout_seconds: {timeout_seconds}
trigger:
  queue:
    batch_size: {batch_size}
    batch_window_seconds: {batch_window_seconds}
    maximum_concurrency: 2
    max_receive_count: {max_receive_count}
    sources: []
grants: []
environment: {{}}
budgets: {{image_mib_over_base: 1, init_kib: 1, init_ms: 1000}}
"""
    )
    return folder


@dataclass
class RunningWorker:
    """A worker's process and what it has logged."""

    process: subprocess.Popen[bytes]
    log_file: Path
    _read: int = 0
    _lines: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """All complete log lines so far; every one of them must be JSON."""
        with self.log_file.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole, _, _ = data.rpartition(b"\n")
        if whole:
            self._read += len(whole) + 1
            self._lines += [json.loads(line) for line in whole.split(b"\n")]
        return self._lines

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("event") == event]

    def await_event(
        self, event: str, count: int = 1, seconds: float = STEP_SECONDS
    ) -> list[dict[str, Any]]:
        """Waits for `count` lines of `event`."""

        def there() -> bool:
            return len(self.events(event)) >= count or self.process.poll() is not None

        try:
            eventually(there, f"{count} x {event}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log: {self.lines()[-20:]}") from None
        found = self.events(event)
        assert len(found) >= count, f"the worker ended before {event}: {self.lines()[-20:]}"
        return found

    def reports(self, count: int = 1, seconds: float = STEP_SECONDS) -> list[dict[str, Any]]:
        return self.await_event("report", count, seconds)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds: float = STEP_SECONDS) -> int:
        return self.process.wait(scaled(seconds))


@contextmanager
def worker(
    folder: Path,
    queues: Queues,
    endpoint: str,
    log_file: Path,
    *,
    await_start: bool = True,
    **variables: str | int | Path,
) -> Iterator[RunningWorker]:
    """A worker on `queues` for the length of a `with` block; fast settings by default."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **aws_environment(endpoint),
        "WORKER_QUEUE_URL": queues.url,
        "WORKER_DEAD_LETTER_QUEUE_URL": queues.dead_url,
        "WORKER_POLL_WAIT_SECONDS": "1",
        "WORKER_BACKOFF_BASE_SECONDS": "0",
        **{name: str(value) for name, value in variables.items()},
    }
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.worker", "--function", str(folder)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    running = RunningWorker(process, log_file)
    try:
        if await_start:
            running.await_event("environment_started")
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(scaled(10))
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
