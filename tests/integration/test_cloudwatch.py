"""Figures from CloudWatch, of which the emulator has metrics, logs and queries."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from services.local import emulator as emulators
from services.local.aws_session import LocalSession
from services.monitoring.cloudwatch import CloudWatch
from services.monitoring.lab import LabConfiguration, Queue, queues
from services.monitoring.telemetry import Usage
from services.platform import timestamps


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def source(cloud: emulators.Emulator, prefix: str) -> CloudWatch:
    session = LocalSession(cloud.endpoint)
    configuration = LabConfiguration(prefix, ("process-image", "send-image-email"), "cloudwatch")
    return CloudWatch(configuration, lambda: session.client("cloudwatch"), session.client("logs"))


def put(source: CloudWatch, metric: str, values: list[float], age: float = 30) -> None:
    name = f"{source.configuration.prefix}-process-image"
    source.metrics().put_metric_data(
        Namespace="AWS/SQS" if metric.startswith("Approximate") else "AWS/Lambda",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [
                    {
                        "Name": "QueueName" if metric.startswith("Approximate") else "FunctionName",
                        "Value": name,
                    }
                ],
                "Timestamp": time.time() - age,
                "Values": values,
            }
        ],
    )


def test_health_is_that_of_the_last_hour(source: CloudWatch) -> None:
    put(source, "Invocations", [1.0] * 10)
    put(source, "Errors", [1.0] * 2)
    put(source, "Duration", [float(n) for n in range(1, 101)])
    put(source, "ConcurrentExecutions", [3.0, 7.0])
    put(source, "Invocations", [1.0] * 500, age=3 * 3600)
    group = f"/aws/lambda/{source.configuration.prefix}-process-image"
    source.logs.create_log_group(logGroupName=group)
    source.logs.create_log_stream(logGroupName=group, logStreamName="one")
    source.logs.put_log_events(
        logGroupName=group,
        logStreamName="one",
        logEvents=[
            {
                "timestamp": int(time.time() * 1000) - 1000,
                "message": json.dumps(
                    {
                        "event": "invocation_completed",
                        "function": "process-image",
                        "cold_start": cold,
                        "timestamp": timestamps.now(),
                    }
                ),
            }
            for cold in (True, True, False)
        ],
    )
    found = source.health(source.configuration.functions)
    busy = found["process-image"]
    assert (busy.invocations, busy.errors, busy.in_flight, busy.cold_starts) == (10, 2, 7, 2)
    assert busy.p50_ms == pytest.approx(50, abs=1)
    assert busy.p99_ms == pytest.approx(99, abs=1)
    idle = found["send-image-email"]
    assert (idle.invocations, idle.errors, idle.p99_ms, idle.cold_starts) == (0, 0, None, 0)


def test_usage_sums_invocations_and_durations(source: CloudWatch) -> None:
    put(source, "Invocations", [1.0] * 4, age=60)
    put(source, "Duration", [100.0, 20.5], age=60)
    hour = 3600.0
    since = (time.time() - 60) // hour * hour
    used = source.usage(source.configuration.functions, since)
    assert used == {"process-image": Usage(4, 120.5)}


def test_history_has_depth_and_age(source: CloudWatch) -> None:
    queue = Queue("url", "dead letter url")
    put(source, "ApproximateNumberOfMessagesVisible", [4.0], age=300)
    put(source, "ApproximateAgeOfOldestMessage", [12.0], age=300)
    put(source, "ApproximateNumberOfMessagesVisible", [0.0], age=120)
    (first, second) = source.history({"process-image": queue})["process-image"]
    assert (first.waiting, first.oldest_seconds) == (4, 12)
    assert (second.waiting, second.oldest_seconds) == (0, None)
    assert first.at < second.at


def test_queues_are_those_of_the_lab(
    cloud: emulators.Emulator, source: CloudWatch, prefix: str
) -> None:
    sqs = LocalSession(cloud.endpoint).client("sqs")
    for name in ("process-image", "process-image-dead-letters", "process-image-of-another"):
        sqs.create_queue(QueueName=f"{prefix}-{name}")
    found = queues(sqs, source.configuration)
    assert list(found) == ["process-image"]
    assert found["process-image"].dead_letter_url.endswith(f"{prefix}-process-image-dead-letters")
