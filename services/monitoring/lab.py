"""The lab as the console's functions see it: its functions' names, and its queues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from services.platform.configuration import variable

CLOUDWATCH = "cloudwatch"
DEAD_LETTERS_SUFFIX = "-dead-letters"
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
# The connections of an AWS client.
_QUEUES_AT_ONCE = 10


@dataclass(frozen=True)
class LabConfiguration:
    """Environment variables of every function of the console."""

    prefix: str = variable("LAB_PREFIX", help="beginning of the names of the lab's resources")
    functions: tuple[str, ...] = variable("LAB_FUNCTIONS", help="the functions' names, by commas")
    telemetry: str = variable(
        "LAB_TELEMETRY", help=f"`{CLOUDWATCH}`, or the folder of an embedded lab"
    )


@dataclass(frozen=True)
class Queue:
    """A function's queue and its dead letter queue, by URL."""

    url: str
    dead_letter_url: str


@dataclass(frozen=True)
class Depth:
    """Messages of one queue: those that can be received, and those that are being handled or
    delayed."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight


def queues(sqs: Any, configuration: LabConfiguration) -> dict[str, Queue]:
    """Function to its queues, for the functions that have some."""
    urls = {url.rsplit("/", 1)[-1]: url for url in _urls(sqs, f"{configuration.prefix}-")}
    found = {}
    for function in configuration.functions:
        name = f"{configuration.prefix}-{function}"
        if name in urls and f"{name}{DEAD_LETTERS_SUFFIX}" in urls:
            found[function] = Queue(urls[name], urls[f"{name}{DEAD_LETTERS_SUFFIX}"])
    return found


def with_dead_letters(sqs: Any, found: Mapping[str, Queue]) -> dict[str, Queue]:
    """The queues that report dead letters: receiving from an empty queue takes a second."""
    counts = depths(sqs, {queue.dead_letter_url for queue in found.values()})
    return {name: queue for name, queue in found.items() if counts[queue.dead_letter_url].total}


def depths(sqs: Any, urls: Collection[str]) -> dict[str, Depth]:
    """Queue URL to its depth, as SQS reports it approximately."""
    with ThreadPoolExecutor(_QUEUES_AT_ONCE) as pool:
        return dict(zip(urls, pool.map(lambda url: _depth(sqs, url), urls), strict=True))


def _depth(sqs: Any, url: str) -> Depth:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))
    waiting, in_flight, delayed = (int(answer["Attributes"].get(name, 0)) for name in _COUNTS)
    return Depth(waiting, in_flight + delayed)


def _urls(sqs: Any, prefix: str) -> Iterator[str]:
    for page in sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix):
        yield from page.get("QueueUrls", ())
