"""Finds published versions of functions by the network that they use.

A published version keeps the subnets and security groups that the function had when it was
published, and Lambda keeps network interfaces in them until it deletes the version. EC2 refuses to
delete these subnets and security groups meanwhile: an apply that deletes them waits for its timeout
and fails. https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.platform.errors import PermanentError

UNPUBLISHED = "$LATEST"


class NetworkInUseError(PermanentError):
    """A plan deletes a network that published versions use."""


@dataclass(frozen=True)
class Version:
    """A published version of a function; `network` has the ids of its subnets and security groups,
    and is empty outside of a VPC."""

    function: str
    number: str
    network: frozenset[str]


@dataclass(frozen=True)
class Networks:
    """The networks of published versions. `lambda_` is a client; functions are given as names on
    Lambda."""

    lambda_: Any

    def versions(self, function: str) -> Iterator[Version]:
        """The function's published versions. Raises ClientError."""
        pages = self.lambda_.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        for item in (item for page in pages for item in page["Versions"]):
            if item["Version"] != UNPUBLISHED:
                vpc = item.get("VpcConfig") or {}
                ids = (*vpc.get("SubnetIds", ()), *vpc.get("SecurityGroupIds", ()))
                yield Version(function, item["Version"], frozenset(ids))

    def check(self, deleted: frozenset[str], functions: Collection[str]) -> None:
        """Raises NetworkInUseError when published versions use one of the subnets and security
        groups `deleted`, given by their ids; ClientError."""
        using: dict[str, list[str]] = {}
        for function in sorted(functions):
            for version in self.versions(function):
                if version.network & deleted:
                    using.setdefault(function, []).append(version.number)
        if using:
            listed = "; ".join(f"{name} {', '.join(found)}" for name, found in using.items())
            raise NetworkInUseError(
                f"the plan deletes {', '.join(sorted(deleted))}, which published versions use: "
                f"{listed}. Release the functions with their new network while the old one stays, "
                "then run `darkroom delete-versions`, and delete the old network 20 minutes later"
            )

    def left_behind(self, live: Mapping[str, Collection[str]]) -> tuple[Version, ...]:
        """The published versions that use a subnet or security group which no live version of
        their function uses. `live`: for each function the numbers of its live versions, which are
        never among the result. Raises ClientError."""
        found: list[Version] = []
        for function, numbers in sorted(live.items()):
            versions = list(self.versions(function))
            current = frozenset[str]().union(*(v.network for v in versions if v.number in numbers))
            found += [v for v in versions if v.number not in numbers and v.network - current]
        return tuple(found)

    def delete(self, version: Version) -> None:
        """Deletes the version. Raises ClientError; Lambda refuses a version that an alias uses."""
        self.lambda_.delete_function(FunctionName=version.function, Qualifier=version.number)
