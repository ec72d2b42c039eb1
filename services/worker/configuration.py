"""The worker's settings: read from the environment once, all mistakes reported together.

Endpoint, region and credentials of AWS are not here: botocore reads its own AWS_* variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.platform.configuration import variable

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
SQS_MAX_VISIBILITY_SECONDS = 43_200
SQS_MAX_WAIT_SECONDS = 20
# A lease shorter than this could run out between two heartbeats on a busy machine.
MIN_VISIBILITY_SECONDS = 3
# One process of the worker; more concurrency than this is another container's.
MAX_CONCURRENCY = 256


@dataclass(frozen=True)
class Configuration:
    """See `help` of each field; seconds are whole, as SQS wants them."""

    queue_url: str = variable("WORKER_QUEUE_URL", help="URL of the standard queue to work on")
    function_name: str | None = variable(
        "WORKER_FUNCTION_NAME",
        default=None,
        help="the function's name where its folder has another (in an image: /var/task)",
    )
    dead_letter_queue_url: str | None = variable(
        "WORKER_DEAD_LETTER_QUEUE_URL",
        default=None,
        help="where a message goes, with its reason, when its last allowed receive fails",
    )
    concurrency: int = variable(
        "WORKER_CONCURRENCY",
        default=1,
        minimum=1,
        maximum=MAX_CONCURRENCY,
        help="execution environments; each works on one batch at a time",
    )
    visibility_seconds: int = variable(
        "WORKER_VISIBILITY_SECONDS",
        default=30,
        minimum=MIN_VISIBILITY_SECONDS,
        maximum=SQS_MAX_VISIBILITY_SECONDS,
        help="lease taken on received messages, renewed by heartbeat while they are worked on",
    )
    poll_wait_seconds: int = variable(
        "WORKER_POLL_WAIT_SECONDS",
        default=SQS_MAX_WAIT_SECONDS,
        minimum=0,
        maximum=SQS_MAX_WAIT_SECONDS,
        help="long poll; an idle worker needs up to this long to stop",
    )
    drain_seconds: int = variable(
        "WORKER_DRAIN_SECONDS",
        default=25,
        minimum=0,
        maximum=3600,
        help="time after SIGTERM for running invocations to finish (ECS kills after 30 s)",
    )
    init_seconds: int = variable(
        "WORKER_INIT_SECONDS",
        default=10,
        minimum=1,
        maximum=900,
        help="time for an execution environment to start",
    )
    backoff_base_seconds: int = variable(
        "WORKER_BACKOFF_BASE_SECONDS",
        default=5,
        minimum=0,
        maximum=SQS_MAX_VISIBILITY_SECONDS,
        help="pause before a failed message's second receive; doubles with each receive",
    )
    backoff_cap_seconds: int = variable(
        "WORKER_BACKOFF_CAP_SECONDS",
        default=900,
        minimum=0,
        maximum=SQS_MAX_VISIBILITY_SECONDS,
        help="longest such pause",
    )
    health_file: Path | None = variable(
        "WORKER_HEALTH_FILE",
        default=None,
        help="touched every second while the worker is healthy, for `health`",
    )


@dataclass(frozen=True)
class QueueAddress:
    """A queue's parts, out of its URL."""

    arn: str
    region: str


def queue_address(queue_url: str, region: str) -> QueueAddress:
    """The queue's ARN, composed of its URL's last two parts: `.../<account>/<name>`.

    Composed, not asked for, so that the worker starts while the queue service is away. Raises
    ValueError that says what was expected.
    """
    _, _, path = queue_url.partition("://")
    parts = path.rstrip("/").split("/")
    if len(parts) < 3 or not parts[-1] or not parts[-2].isdigit():
        raise ValueError(f"a queue URL that ends in /<account>/<name>, got {queue_url!r}")
    if parts[-1].endswith(".fifo"):
        raise ValueError(f"a standard queue, got a FIFO queue {queue_url!r}")
    return QueueAddress(f"arn:{_partition(region)}:sqs:{region}:{parts[-2]}:{parts[-1]}", region)


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
