"""Checks that manifests name only what the topology has, before anything is created."""

from __future__ import annotations

from collections.abc import Sequence

from services.local.topology import Topology
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, Reference, Resource

# The only value of the API that a function can refer to in its environment.
CORS = "cors"
# What a manifest may refer to of the whole lab: in its environment, and in its grants.
LAB_VALUES = ("prefix", "functions", "telemetry", "administrator-second-factor")
LAB_GRANTS = (
    "queues", "dead-letters", "all-queues", "log-groups", "logs", "metrics", "functions", "release",
)  # fmt: skip


def refuse_unknown(topology: Topology, manifests: Sequence[Manifest]) -> None:
    known = {
        Resource.BUCKET: topology.buckets,
        Resource.TABLE: topology.tables,
        Resource.TOPIC: topology.topics,
        Resource.MAIL: topology.mail,
        Resource.DATABASE: topology.databases,
        Resource.SECRET: topology.secrets,
        Resource.SITE: topology.sites,
        Resource.WORKFLOW: topology.workflows,
        Resource.API: (CORS,),
        Resource.RECIPES: topology.recipe_values,
        Resource.LAB: (*LAB_VALUES, *LAB_GRANTS),
    }
    with_queue = {manifest.name for manifest in manifests if manifest.queue is not None}
    mistakes = []
    for manifest in manifests:
        named = [grant.reference for grant in manifest.grants]
        named += [v for v in manifest.environment.values() if isinstance(v, Reference)]
        named += [s.reference for s in manifest.queue.sources] if manifest.queue else []
        named += [manifest.http.cors.site] if manifest.http and manifest.http.cors else []
        mistakes += [
            f"{manifest.name} names the {r.resource} {r.name!r}, which the topology does not have"
            for r in dict.fromkeys(named)
            if r.name not in known[r.resource]
        ]
        mistakes += [
            f"{manifest.name} names the workflow {value.name!r}, which sends to {function}; "
            "expected its manifest with a queue, found none"
            for value in manifest.environment.values()
            if isinstance(value, Reference)
            and value.resource is Resource.WORKFLOW
            and value.name in topology.workflows
            for function in topology.workflows[value.name].functions
            if function not in with_queue
        ]
        mistakes += [
            f"{manifest.name} names the workflow {source.reference.name!r} as a source, which does "
            "not send to it"
            for source in (manifest.queue.sources if manifest.queue else ())
            if source.reference.resource is Resource.WORKFLOW
            and source.reference.name in topology.workflows
            and manifest.name not in topology.workflows[source.reference.name].functions
        ]
    if mistakes:
        raise ConfigurationError("function manifests", mistakes)
