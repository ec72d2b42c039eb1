"""What photos and orders cost: requests, compute and storage, without what an idle lab costs.

Requests of one photo and one order, and the measured duration of each function, are in
`workload.json`; memory comes from the functions' manifests, renditions from the recipe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.operations.cost.prices import Item, Prices
from services.platform.manifest import Feature, Manifest

WORKLOAD = Path(__file__).with_name("workload.json")
MIB_PER_GIB = 1024
KIB_PER_GIB = 1024 * 1024
# A message is sent, received and deleted.
REQUESTS_PER_MESSAGE = 3
AUTHORIZER = "authorize-request"
# Of the recipe `standard`: three sizes in two formats.
STANDARD_RENDITIONS = 6


class Architecture(StrEnum):
    X86 = "x86_64"
    ARM = "arm64"


@dataclass(frozen=True)
class Workload:
    """How often what is done. `durations_ms` are of the functions that were measured; others count
    as `unmeasured_ms`."""

    photos: float
    orders: float
    units: Mapping[str, Mapping[str, Any]]
    durations_ms: Mapping[str, float]
    unmeasured_ms: float

    @property
    def amounts(self) -> tuple[tuple[float, Mapping[str, Any]], ...]:
        return ((self.photos, self.units["photo"]), (self.orders, self.units["order"]))

    def total(self, key: str) -> float:
        """The sum of a quantity over all photos and orders."""
        return sum(count * float(unit.get(key, 0)) for count, unit in self.amounts)

    def calls(self, kind: str) -> dict[str, float]:
        """Calls by function, of the kind `functions` (queues) or `routes`."""
        found: dict[str, float] = {}
        for count, unit in self.amounts:
            for name, times in unit[kind].items():
                found[name] = found.get(name, 0) + count * times
        return {name: calls for name, calls in found.items() if calls}

    def duration_ms(self, function: str) -> float:
        return self.durations_ms.get(function, self.unmeasured_ms)


def read_workload(photos: float, orders: float, path: Path = WORKLOAD) -> Workload:
    """The workload of so many photos and orders a month."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Workload(
        photos,
        orders,
        {"photo": document["photo"], "order": document["order"]},
        {name: found["ms"] for name, found in document["measured"].items()},
        document["unmeasured_ms"],
    )


def lambda_dollars(
    prices: Prices, memory_mib: int, ms: float, calls: float, architecture: Architecture
) -> float:
    """The price of calls of one function on Lambda."""
    seconds = memory_mib / MIB_PER_GIB * ms / 1000 * calls
    return seconds * prices.of(f"lambda_gib_second_{architecture.value}") + calls * prices.of(
        "lambda_request"
    )


def bill(
    workload: Workload,
    prices: Prices,
    manifests: Sequence[Manifest],
    renditions: int,
    architecture: Architecture,
    features: frozenset[Feature],
) -> list[Item]:
    """The bill of a month by service. Photos only have no routes. `renditions`: files of one
    photo."""
    memory = {manifest.name: manifest.memory_mib for manifest in manifests}
    queues = workload.calls("functions")
    routes = workload.calls("routes") if Feature.CUSTOMERS in features else {}
    requests = sum(routes.values())
    compute = sum(
        lambda_dollars(prices, memory[name], workload.duration_ms(name), calls, architecture)
        for name, calls in (queues | routes).items()
    )
    if requests:
        compute += lambda_dollars(
            prices, memory[AUTHORIZER], workload.duration_ms(AUTHORIZER), requests, architecture
        )
    # Uploads by forms count their bytes for the account.
    writes = workload.total("dynamodb_writes") + bool(routes) * workload.total("upload_form_writes")
    reads = workload.total("dynamodb_reads") + bool(routes) * workload.total("upload_form_reads")
    puts = workload.photos * (1 + renditions)
    kept_gib = (workload.total("originals_mib") + workload.total("renditions_mib")) / MIB_PER_GIB
    items = [
        Item("Lambda", f"{sum(queues.values()) + 2 * requests:,.0f} calls", compute),
        Item(
            "S3",
            f"{puts:,.0f} puts, {workload.total('reads'):,.0f} gets",
            puts * prices.of("s3_put") + workload.total("reads") * prices.of("s3_get"),
        ),
        Item("S3", f"{kept_gib:,.0f} GB kept for a month", kept_gib * prices.of("s3_gib_month")),
        Item(
            "DynamoDB",
            f"{writes:,.0f} writes, {reads:,.0f} reads",
            writes * prices.of("dynamodb_write") + reads * prices.of("dynamodb_read"),
        ),
        Item(
            "SQS",
            f"{sum(queues.values()):,.0f} messages",
            sum(queues.values()) * REQUESTS_PER_MESSAGE * prices.of("sqs_request"),
        ),
        Item(
            "SNS",
            f"{workload.total('topic_messages'):,.0f} messages",
            workload.total("topic_messages") * prices.of("sns_publish"),
        ),
        Item(
            "SES",
            f"{workload.total('emails'):,.0f} e-mails",
            workload.total("emails") * prices.of("ses_email")
            + workload.total("email_mib") / MIB_PER_GIB * prices.of("ses_gib"),
        ),
        Item("API Gateway", f"{requests:,.0f} requests", requests * prices.of("api_request")),
        Item(
            "Step Functions",
            f"{workload.total('workflow_transitions'):,.0f} transitions",
            workload.total("workflow_transitions") * prices.of("workflow_transition"),
        ),
        Item(
            "CloudWatch Logs",
            f"{workload.total('log_kib') / KIB_PER_GIB:,.1f} GB",
            workload.total("log_kib") / KIB_PER_GIB * prices.of("logs_gib"),
        ),
    ]
    return [item for item in items if item.dollars]


@dataclass(frozen=True)
class Comparison:
    """One function on Lambda and as one Fargate task that runs all month, by architecture.

    `crossing` is the number of calls a month at which both cost the same; None where the task
    could not do so many. `capacity` is what the task can do in a month. Dollars a month.
    """

    function: str
    task_dollars: Mapping[Architecture, float]
    call_dollars: Mapping[Architecture, float]
    capacity: float

    def crossing(self, architecture: Architecture) -> float | None:
        calls = self.task_dollars[architecture] / self.call_dollars[architecture]
        return calls if calls <= self.capacity else None


def compare(
    function: Manifest, ms: float, prices: Prices, vcpus: float = 1, gib: float = 2
) -> Comparison:
    """Compares Lambda with Fargate for a function that uses one vCPU, in tasks of this size."""
    month_ms = prices.hourly("fargate_vcpu_hour_x86_64") / prices.of("fargate_vcpu_hour_x86_64")
    return Comparison(
        function.name,
        {
            a: vcpus * prices.hourly(f"fargate_vcpu_hour_{a.value}")
            + gib * prices.hourly(f"fargate_gib_hour_{a.value}")
            for a in Architecture
        },
        {
            # The queue's requests are the same in both, the request to Lambda is not.
            a: lambda_dollars(prices, function.memory_mib, ms, 1, a)
            for a in Architecture
        },
        capacity=vcpus * month_ms * 3_600_000 / ms,
    )


def backfill_dollars(photos: int, prices: Prices, manifests: Sequence[Manifest]) -> float:
    """The price of developing photos that are stored already: no upload, no e-mail, and a month of
    their renditions."""
    workload = read_workload(photos, 0)
    photo = {
        **workload.units["photo"],
        "functions": {"process-image": 1},
        "originals_mib": 0,
        "emails": 0,
        "email_mib": 0,
    }
    workload = replace(workload, units={**workload.units, "photo": photo})
    features = frozenset({Feature.PHOTOS})
    items = bill(workload, prices, manifests, STANDARD_RENDITIONS, Architecture.X86, features)
    return sum(item.dollars for item in items)
