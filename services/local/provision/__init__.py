"""Creates a lab's queues, schedules, buckets, tables, topics and workflows on an emulator, from the
manifests and the topology.

Terraform creates the same on AWS (terraform/lab); a test compares the two. Safe to repeat.
Resources that only protect or cost something on AWS (roles, bucket encryption, backups, TLS-only
policies) are in Terraform alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from services.local.provision.checks import CORS, LAB_VALUES, refuse_unknown
from services.local.provision.dynamodb import make_table
from services.local.provision.events import make_schedule
from services.local.provision.iam import make_workflow_role
from services.local.provision.lab import Database, FunctionQueue, Lab, Payments
from services.local.provision.names import PREFIX, workflow_name
from services.local.provision.s3 import connect_buckets, make_bucket
from services.local.provision.secretsmanager import make_empty_secret, make_secret
from services.local.provision.ses import verify_sender
from services.local.provision.sns import make_topic, subscribe
from services.local.provision.sqs import make_events_queue, make_queue
from services.local.provision.stepfunctions import make_workflow
from services.local.topology import Topology
from services.monitoring.lab import CLOUDWATCH
from services.platform.manifest import Manifest, Reference, Resource

__all__ = [
    "Database", "FunctionQueue", "Lab", "Payments", "cors_rules", "make_events_queue", "provision",
]  # fmt: skip

# Names of the topology's secrets.
DATABASE = "database"
PAYMENTS = "payments"
WEBHOOKS = "webhooks"


def provision(
    session: Any,
    topology: Topology,
    manifests: Sequence[Manifest],
    prefix: str = PREFIX,
    database: Database | None = None,
    payments: Payments | None = None,
    *,
    iam_enforced: bool = False,
    telemetry: str = CLOUDWATCH,
) -> Lab:
    """Creates everything through `session`, a boto3 session configured for the emulator.

    Without `database` or `payments`, their secrets do not exist, and functions that refer to them
    have no environment. A workflow is created if all functions that it sends to are in `manifests`;
    `iam_enforced`: with the role that it needs then. `telemetry` is the folder of the lab's files,
    unless its figures are in CloudWatch.

    Raises ConfigurationError when a manifest names a resource that the topology does not have.
    """
    refuse_unknown(topology, manifests)
    values: dict[Reference, str] = {}
    for name in topology.buckets:
        values[Reference(Resource.BUCKET, name)] = make_bucket(session, topology, name, prefix)
    for name, table in topology.tables.items():
        values[Reference(Resource.TABLE, name)] = make_table(session, table, name, prefix)
    topics = session.client("sns")
    for name, topic in topology.topics.items():
        values[Reference(Resource.TOPIC, name)] = make_topic(topics, topic, name, manifests, prefix)
    for name, address in topology.mail.items():
        verify_sender(session, address)
        values[Reference(Resource.MAIL, name)] = address
    for name, origins in topology.sites.items():
        values[Reference(Resource.SITE, name)] = ",".join(sorted(origins))
    for name, value in topology.recipe_values.items():
        values[Reference(Resource.RECIPES, name)] = value
    functions = ",".join(sorted(manifest.name for manifest in manifests))
    second_factor = str(topology.administrator_second_factor).lower()
    for name, value in zip(LAB_VALUES, (prefix, functions, telemetry, second_factor), strict=True):
        values[Reference(Resource.LAB, name)] = value
    values[Reference(Resource.API, CORS)] = json.dumps(cors_rules(topology, manifests))
    if database is not None:
        for name in topology.databases:
            values[Reference(Resource.DATABASE, name)] = database.url
        login = {"username": database.username, "password": database.password}
        values[Reference(Resource.SECRET, DATABASE)] = make_secret(session, DATABASE, login, prefix)
    if payments is not None:
        values[Reference(Resource.SECRET, PAYMENTS)] = make_secret(
            session, PAYMENTS, asdict(payments), prefix
        )
    used = {value for manifest in manifests for value in manifest.environment.values()}
    if Reference(Resource.SECRET, WEBHOOKS) in used:
        values[Reference(Resource.SECRET, WEBHOOKS)] = make_empty_secret(session, WEBHOOKS, prefix)
    queues = {m.name: make_queue(session, m, m.queue, values, prefix) for m in manifests if m.queue}
    for name, workflow in topology.workflows.items():
        if all(function in queues for function in workflow.functions):
            if iam_enforced:
                targets = {function: queues[function] for function in workflow.functions}
                make_workflow_role(session, workflow_name(name, prefix), targets)
            values[Reference(Resource.WORKFLOW, name)] = make_workflow(
                session, workflow, name, queues, prefix
            )
    connect_buckets(session, manifests, queues, values)
    for manifest in manifests:
        for source in manifest.queue.sources if manifest.queue else ():
            if source.reference.resource is Resource.TOPIC:
                subscribe(topics, values[source.reference], source, queues[manifest.name].arn)
        if manifest.queue and manifest.queue.schedule:
            make_schedule(session, manifest, manifest.queue.schedule, queues[manifest.name], prefix)
    return Lab(queues, values)


def cors_rules(topology: Topology, manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """The CORS rules of every route that has some, for `answer-preflight`.

    A function's routes are sorted, as Terraform sorts them.
    """
    return [
        {
            "method": route.method,
            "path": route.path,
            "origins": sorted(topology.sites[manifest.http.cors.site.name]),
            "headers": sorted(manifest.http.cors.allow_headers),
            "max_age_seconds": manifest.http.cors.max_age_seconds,
        }
        for manifest in manifests
        if manifest.http is not None and manifest.http.cors is not None
        for route in sorted(manifest.http.routes, key=attrgetter("key"))
    ]
