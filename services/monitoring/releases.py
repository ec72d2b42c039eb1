"""Which version of each function is live, and which one a rollback restores.

On AWS: the alias `live` of each function, and the record of the last release. An embedded lab has
no releases: it runs the code of the checkout.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from services.monitoring.lab import CLOUDWATCH, LabConfiguration
from services.monitoring.release_record import parameter_name, read_record
from services.platform.aws.clients import client, error_code

LIVE = "live"
DISTRIBUTION = "darkroom"
# Lambda allows 100 GetFunction requests a second for an account:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_READS_AT_ONCE = 3


@dataclass(frozen=True)
class Version:
    """A published version. `image_digest`: `sha256:...`, None if the image has none.
    `published_at`: a time of ISO 8601."""

    number: str
    image_digest: str | None
    published_at: str | None


@dataclass(frozen=True)
class FunctionRelease:
    """A function's versions. `previous`: the one that a rollback restores, None if it moves nothing
    of this function. `held`: it was taken back, and stays until it has another image."""

    live: Version
    previous: Version | None
    held: bool


@dataclass(frozen=True)
class Releases:
    """The releases of a lab. `functions` has those on Lambda. `environment` and `changed_at` are
    those of the last release or rollback. `code_version`: the version of the code that an embedded
    lab runs; None on AWS."""

    functions: Mapping[str, FunctionRelease] = field(default_factory=dict)
    environment: str | None = None
    changed_at: str | None = None
    code_version: str | None = None


class ReleaseSource(Protocol):
    """Where releases are read."""

    def read(self) -> Releases:
        """The releases now."""
        ...


@dataclass(frozen=True)
class EmbeddedLab:
    """A lab that runs the code of the checkout."""

    def read(self) -> Releases:
        return Releases(code_version=importlib.metadata.version(DISTRIBUTION))


@dataclass(frozen=True)
class LambdaReleases:
    """Reads with clients of Lambda and Systems Manager, which `client` makes at the first read: a
    cold start needs none of them."""

    configuration: LabConfiguration
    client: Callable[[str], Any]

    def read(self) -> Releases:
        """Functions without a live version on Lambda, such as workers, are missing."""
        record = read_record(self.client("ssm"), parameter_name(self.configuration.prefix))
        lambda_ = self.client("lambda")
        live = self._versions(lambda_, dict.fromkeys(self.configuration.functions, LIVE))
        other = {
            name: number
            for name, number in record.before.items()
            if name in live and number != live[name].number
        }
        previous = self._versions(lambda_, other)
        return Releases(
            {
                name: FunctionRelease(
                    version, previous.get(name), held=record.held.get(name) == version.number
                )
                for name, version in live.items()
            },
            record.environment,
            record.changed_at,
        )

    def _versions(self, lambda_: Any, wanted: Mapping[str, str]) -> dict[str, Version]:
        """Function to its version of a qualifier, without those that do not exist."""
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            found = pool.map(partial(self._version, lambda_), wanted.keys(), wanted.values())
            return {
                name: version
                for name, version in zip(wanted, found, strict=True)
                if version is not None
            }

    def _version(self, lambda_: Any, function: str, qualifier: str) -> Version | None:
        name = f"{self.configuration.prefix}-{function}"
        try:
            answer = lambda_.get_function(FunctionName=name, Qualifier=qualifier)
        except Exception as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        described, code = answer["Configuration"], answer["Code"]
        image = str(code.get("ResolvedImageUri") or code.get("ImageUri", ""))
        _, _, digest = image.partition("@")
        return Version(described["Version"], digest or None, described.get("LastModified"))


def releases(configuration: LabConfiguration) -> ReleaseSource:
    """The source that the configuration names."""
    if configuration.telemetry == CLOUDWATCH:
        return LambdaReleases(configuration, client)
    return EmbeddedLab()
