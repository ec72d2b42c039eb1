"""A provisioned lab: its queues and the values that manifests refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.platform.manifest import Manifest, Reference, Resource


@dataclass(frozen=True)
class FunctionQueue:
    """A function's queue and its dead letter queue."""

    url: str
    arn: str
    dead_letter_url: str
    dead_letter_arn: str


@dataclass(frozen=True)
class Database:
    """The lab's Postgres and its credentials. `url` contains no password."""

    url: str
    username: str
    password: str


@dataclass(frozen=True)
class Payments:
    """The lab's account with a payment provider, as its secret holds it."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True)
class Lab:
    """The created resources by logical name."""

    queues: Mapping[str, FunctionQueue]
    values: Mapping[Reference, str]

    def environment(self, manifest: Manifest) -> dict[str, str]:
        """The function's environment variables: its manifest's, with references resolved."""
        environment = {
            name: self.values[value] if isinstance(value, Reference) else value
            for name, value in manifest.environment.items()
        }
        if manifest.http is not None and manifest.http.cors is not None:
            environment["CORS_ORIGINS"] = self.values[manifest.http.cors.site]
            exposed = sorted(manifest.http.cors.expose_headers)
            environment["CORS_EXPOSE_HEADERS"] = ",".join(exposed)
        return environment

    def bucket(self, name: str) -> str:
        return self.values[Reference(Resource.BUCKET, name)]

    def table(self, name: str) -> str:
        return self.values[Reference(Resource.TABLE, name)]

    def topic(self, name: str) -> str:
        """The topic's ARN."""
        return self.values[Reference(Resource.TOPIC, name)]

    def workflow(self, name: str) -> str:
        """The state machine's ARN."""
        return self.values[Reference(Resource.WORKFLOW, name)]
