"""get-lab-status: answers GET /operations/status and GET /operations/releases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.monitoring import api
from services.monitoring.lab import LabConfiguration, Queue, depths, queues
from services.monitoring.releases import ReleaseSource, Version
from services.monitoring.telemetry import WINDOW_SECONDS, Sample, Telemetry
from services.platform import timestamps
from services.platform.functions.http import Request, Response

# The name of an environment in the command, where the record of releases does not have it.
UNKNOWN_ENVIRONMENT = "NAME"


@dataclass(frozen=True)
class GetLabStatus:
    """Reports the health of all functions and queues, and their releases."""

    configuration: LabConfiguration
    telemetry: Telemetry
    sqs: Any
    release_source: ReleaseSource

    def releases(self, _request: Request) -> Response:
        """Returns 200 with the versions of every function, in the order of their names."""
        found = self.release_source.read()
        functions = [
            api.FunctionRelease(
                name=name,
                live=_version(release.live if release else None),
                previous=_version(release.previous if release else None),
                held=release.held if release else False,
            )
            for name in sorted(self.configuration.functions)
            for release in [found.functions.get(name)]
        ]
        environment = found.environment or UNKNOWN_ENVIRONMENT
        command = f"make rollback ENVIRONMENT={environment}"
        return Response(
            200,
            api.Releases(
                functions=functions,
                changed_at=found.changed_at,
                rollback_command=command if any(one.previous for one in functions) else None,
                code_version=found.code_version,
            ),
        )

    def handle(self, request: Request) -> Response:
        """Returns 200 with every function of the lab, in the order of their names."""
        wanted: api.StatusParameters = request.parameters
        queue_health = self._queues()
        health = self.telemetry.health(self.configuration.functions)
        return Response(
            200,
            api.LabStatus(
                at=timestamps.now(),
                window_seconds=WINDOW_SECONDS,
                refresh_seconds=self.telemetry.refresh_seconds,
                functions=[
                    api.FunctionHealth(
                        name=name,
                        invocations=found.invocations,
                        errors=found.errors,
                        p50_ms=found.p50_ms,
                        p99_ms=found.p99_ms,
                        cold_starts=found.cold_starts,
                        in_flight=found.in_flight,
                        last_error=found.last_error,
                    )
                    for name in sorted(health)
                    if (found := health[name])
                ],
                queues=queue_health,
                usage=self._usage() if wanted.usage else None,
            ),
        )

    def _usage(self) -> api.Usage:
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        found = self.telemetry.usage(self.configuration.functions, midnight)
        return api.Usage(
            since=timestamps.format_epoch(midnight),
            functions=[
                api.FunctionUsage(
                    name=name, invocations=used.invocations, duration_ms=round(used.duration_ms, 1)
                )
                for name, used in sorted(found.items())
            ],
        )

    def _queues(self) -> list[api.QueueHealth]:
        found = queues(self.sqs, self.configuration)
        urls = [url for queue in found.values() for url in (queue.url, queue.dead_letter_url)]
        depth = depths(self.sqs, urls)
        history = self.telemetry.history(found)
        return [
            api.QueueHealth(
                function=name,
                waiting=depth[queue.url].waiting,
                in_flight=depth[queue.url].in_flight,
                dead_letters=depth[queue.dead_letter_url].total,
                oldest_seconds=self._oldest(queue, depth[queue.url].waiting, history.get(name, ())),
                history=[
                    api.QueueSample(
                        at=timestamps.format_epoch(sample.at),
                        waiting=sample.waiting,
                        oldest_seconds=sample.oldest_seconds,
                    )
                    for sample in history.get(name, ())
                ],
            )
            for name, queue in sorted(found.items())
        ]

    def _oldest(self, queue: Queue, waiting: int, history: Any) -> float | None:
        if not waiting:
            return None
        samples: list[Sample] = list(history)
        return samples[-1].oldest_seconds if samples else self.telemetry.oldest_seconds(queue)


def _version(found: Version | None) -> api.ReleasedVersion | None:
    if found is None:
        return None
    return api.ReleasedVersion(
        version=found.number, image_digest=found.image_digest, published_at=found.published_at
    )
