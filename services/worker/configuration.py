"""The worker's settings: read once, all mistakes reported together.

A worker of one function reads environment variables. A host of many reads PLAN.json, or environment
variables with the function's name at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.platform.configuration import variable
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, QueueTrigger
from services.runtime.configuration import (
    DEFAULT_IDLE_SECONDS,
    INIT_SECONDS_RANGE,
    MAX_CONCURRENCY,
    MAX_IDLE_SECONDS,
    FunctionConfiguration,
    ProcessConfiguration,
    make_function,
    read_document,
    read_manifest,
    read_region,
    read_variables,
)
from services.runtime.function import Function

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
SQS_MAX_VISIBILITY_SECONDS = 43_200
SQS_MAX_WAIT_SECONDS = 20
# A lease shorter than this could run out between two heartbeats on a busy machine.
MIN_VISIBILITY_SECONDS = 3
DEFAULT_ENVIRONMENTS = 4
_EXPECTED_QUEUE_URL = "a queue URL that ends in /<account>/<name>"


@dataclass(frozen=True)
class QueueConfiguration(ProcessConfiguration):
    """How queues are polled. See `help` of each field; seconds are whole, as SQS requires."""

    visibility_seconds: int = variable(
        "WORKER_VISIBILITY_SECONDS",
        default=30,
        minimum=MIN_VISIBILITY_SECONDS,
        maximum=SQS_MAX_VISIBILITY_SECONDS,
        help="lease on received messages, renewed by heartbeat until they are acknowledged",
    )
    poll_wait_seconds: int = variable(
        "WORKER_POLL_WAIT_SECONDS",
        default=SQS_MAX_WAIT_SECONDS,
        minimum=0,
        maximum=SQS_MAX_WAIT_SECONDS,
        help="long poll; an idle worker needs up to this long to stop",
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

    metrics_host: str = variable(
        "WORKER_METRICS_HOST", default="127.0.0.1", help="address of /metrics and /health"
    )
    metrics_port: int | None = variable(
        "WORKER_METRICS_PORT",
        default=None,
        minimum=0,
        maximum=65_535,
        help="port of /metrics and /health; 0 takes a free one, not set: none",
    )


@dataclass(frozen=True)
class Configuration(QueueConfiguration, FunctionConfiguration):
    """Settings of a worker of one function."""

    queue_url: str = variable("WORKER_QUEUE_URL", help="URL of the standard queue to poll")
    dead_letter_queue_url: str | None = variable(
        "WORKER_DEAD_LETTER_QUEUE_URL",
        default=None,
        help="where a message goes, with its reason, when its last allowed receive fails",
    )


@dataclass(frozen=True)
class HostConfiguration(QueueConfiguration):
    """Settings of a host of many functions."""

    environments: int = variable(
        "WORKER_ENVIRONMENTS",
        default=DEFAULT_ENVIRONMENTS,
        minimum=1,
        maximum=MAX_CONCURRENCY,
        help="execution environments at once, all functions together",
    )
    idle_seconds: int = variable(
        "WORKER_IDLE_SECONDS",
        default=DEFAULT_IDLE_SECONDS,
        minimum=1,
        maximum=MAX_IDLE_SECONDS,
        help="an environment without work is closed after this time",
    )


@dataclass(frozen=True)
class FunctionPlan:
    """A function to poll for."""

    function: Function
    trigger: QueueTrigger
    queue_url: str
    dead_letter_queue_url: str | None
    address: QueueAddress
    concurrency: int


@dataclass(frozen=True)
class Plan:
    """Everything that a worker does. Without `on_demand` every poller keeps an environment; with it
    environments start when messages arrive, at most `environments` at once."""

    queues: QueueConfiguration
    functions: tuple[FunctionPlan, ...]
    on_demand: bool
    environments: int
    idle_seconds: float


def single(folder: Path, environ: Mapping[str, str]) -> Plan:
    """A worker of the function in `folder`. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    configuration = read_variables(Configuration, environ, mistakes)
    manifest = read_manifest(folder, mistakes)
    region = read_region(environ, {}, mistakes, " (the queue's region)")
    url = environ.get("WORKER_QUEUE_URL", "").strip()
    address = _address(url, region, "WORKER_QUEUE_URL", mistakes) if url else None
    if mistakes or configuration is None or manifest is None or address is None:
        raise ConfigurationError("the worker's configuration", mistakes)
    name = configuration.function_name or manifest.name
    planned = _planned(
        manifest,
        name,
        url,
        configuration.dead_letter_queue_url,
        address,
        configuration.concurrency,
        configuration.init_seconds,
        environ,
        {},
    )
    if planned is None:
        raise ConfigurationError(name, [_NO_QUEUE])
    return Plan(configuration, (planned,), False, configuration.concurrency, 0.0)


def several(folders: Sequence[Path], environ: Mapping[str, str]) -> Plan:
    """A host of the functions in `folders`, which share environment variables. Their queues are in
    WORKER_QUEUE_URL_<NAME> and WORKER_DEAD_LETTER_QUEUE_URL_<NAME>. Raises ConfigurationError."""
    mistakes: list[str] = []
    configuration = read_variables(HostConfiguration, environ, mistakes)
    region = read_region(environ, {}, mistakes)
    planned = []
    for folder in folders:
        manifest = read_manifest(folder, mistakes)
        if manifest is None:
            continue
        suffix = manifest.name.upper().replace("-", "_")
        variable_name = f"WORKER_QUEUE_URL_{suffix}"
        url = environ.get(variable_name, "").strip()
        if not url:
            mistakes.append(f"{variable_name} is not set (URL of the queue of {manifest.name})")
            continue
        address = _address(url, region, variable_name, mistakes)
        if configuration is None or address is None:
            continue
        dead = environ.get(f"WORKER_DEAD_LETTER_QUEUE_URL_{suffix}", "").strip() or None
        one = _planned(
            manifest, manifest.name, url, dead, address, 1, configuration.init_seconds, environ, {}
        )
        if one is None:
            mistakes.append(f"{manifest.name} {_NO_QUEUE}")
        else:
            planned.append(one)
    mistakes += _repeated(planned)
    if mistakes or configuration is None:
        raise ConfigurationError("the worker's configuration", mistakes)
    return Plan(
        configuration, tuple(planned), True, configuration.environments, configuration.idle_seconds
    )


def from_file(path: Path, environ: Mapping[str, str]) -> Plan:
    """The host in PLAN.json. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    configuration = read_variables(HostConfiguration, environ, mistakes)
    document = read_document(path, mistakes)
    document.only(
        "environments",
        "idle_seconds",
        "init_seconds",
        "poll_wait_seconds",
        "status_file",
        "metrics_port",
        "functions",
    )
    if configuration is None:
        raise ConfigurationError(str(path), mistakes)
    configuration = replace(
        configuration,
        environments=document.integer(
            "environments", (1, MAX_CONCURRENCY), configuration.environments
        ),
        idle_seconds=document.integer(
            "idle_seconds", (1, MAX_IDLE_SECONDS), configuration.idle_seconds
        ),
        init_seconds=document.integer(
            "init_seconds", INIT_SECONDS_RANGE, configuration.init_seconds
        ),
        poll_wait_seconds=document.integer(
            "poll_wait_seconds", (0, SQS_MAX_WAIT_SECONDS), configuration.poll_wait_seconds
        ),
        status_file=document.path("status_file") or configuration.status_file,
    )
    if document.get("metrics_port") is not None:
        configuration = replace(
            configuration, metrics_port=document.integer("metrics_port", (0, 65_535), 0)
        )
    planned = []
    for entry in document.entries("functions"):
        entry.only("folder", "environment", "concurrency", "queue_url", "dead_letter_queue_url")
        variables = entry.texts("environment")
        concurrency = entry.integer("concurrency", (1, MAX_CONCURRENCY), 1)
        url = entry.text("queue_url", None, _EXPECTED_QUEUE_URL)
        dead = None
        if entry.get("dead_letter_queue_url") is not None:
            dead = entry.text("dead_letter_queue_url", None, _EXPECTED_QUEUE_URL)
        region = read_region(environ, variables, mistakes, f" for {entry.label}")
        address = _address(url, region, f"{entry.label}.queue_url", mistakes) if url else None
        manifest = read_manifest(Path(entry.text("folder", None)), mistakes)
        if manifest is None or address is None:
            continue
        one = _planned(
            manifest,
            manifest.name,
            url,
            dead,
            address,
            concurrency,
            configuration.init_seconds,
            environ,
            variables,
        )
        if one is None:
            mistakes.append(f"{entry.label} ({manifest.name}) {_NO_QUEUE}")
        else:
            planned.append(one)
    mistakes += _repeated(planned)
    if mistakes:
        raise ConfigurationError(str(path), mistakes)
    return Plan(
        configuration, tuple(planned), True, configuration.environments, configuration.idle_seconds
    )


_NO_QUEUE = "has no queue trigger: there is no queue to poll"


def _address(url: str, region: str, name: str, mistakes: list[str]) -> QueueAddress | None:
    try:
        return queue_address(url, region)
    except ValueError as error:
        mistakes.append(f"{name} must be {error}")
        return None


def _repeated(planned: Sequence[FunctionPlan]) -> list[str]:
    names = [one.function.name for one in planned]
    return [
        f"{name} is named twice: expected each function once"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _planned(
    manifest: Manifest,
    name: str,
    queue_url: str,
    dead_letter_queue_url: str | None,
    address: QueueAddress,
    concurrency: int,
    init_seconds: int,
    environ: Mapping[str, str],
    variables: Mapping[str, str],
) -> FunctionPlan | None:
    """None for a function without a queue trigger."""
    trigger = manifest.queue
    if trigger is None:
        return None
    defaults = {
        "AWS_REGION": address.region,
        "AWS_DEFAULT_REGION": address.region,
        "MAX_RECEIVE_COUNT": str(trigger.max_receive_count),
    }
    if dead_letter_queue_url is not None:
        defaults["DEAD_LETTER_QUEUE_URL"] = dead_letter_queue_url
    if trigger.sends_to_itself:
        # OWNER_ENVIRONMENTS is set by whoever knows how many workers share the queue.
        defaults["QUEUE_URL"] = queue_url
    arn = address.arn.rsplit(":", 1)[0].replace(":sqs:", ":lambda:") + f":function:{name}"
    function = make_function(manifest, name, arn, init_seconds, environ, defaults, variables)
    return FunctionPlan(function, trigger, queue_url, dead_letter_queue_url, address, concurrency)


@dataclass(frozen=True)
class QueueAddress:
    """A queue's ARN and region."""

    arn: str
    region: str


def queue_address(queue_url: str, region: str) -> QueueAddress:
    """The queue's ARN, composed of the last two parts of its URL: `.../<account>/<name>`.

    No call is made, so that the worker starts while SQS is unavailable. Raises ValueError that
    states what was expected.
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
