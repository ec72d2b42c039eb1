"""Reads `terraform/lab/topology.yaml`: what the functions share."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.platform.errors import ConfigurationError

_QUEUE = re.compile(r"\$\{queue_([a-z0-9_]+)\}")


@dataclass(frozen=True)
class Bucket:
    """`uploads_from` names the site whose pages may upload to it by signed forms."""

    versioned: bool = False
    uploads_from: str | None = None


@dataclass(frozen=True)
class Index:
    hash_key: str
    range_key: str


@dataclass(frozen=True)
class Table:
    """A DynamoDB table; every key attribute is a text. `ttl` names the expiry attribute."""

    hash_key: str
    range_key: str | None
    ttl: str | None
    indexes: Mapping[str, Index]


@dataclass(frozen=True)
class Workflow:
    """A state machine's text in Amazon States Language, with `${queue_x_y}` for the URL of the
    function x-y's queue."""

    text: str

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions whose queues it sends to."""
        names = dict.fromkeys(_QUEUE.findall(self.text))
        return tuple(name.replace("_", "-") for name in names)

    def definition(self, queue_urls: Mapping[str, str]) -> str:
        """The text with the URLs in it, by the functions' names."""
        return _QUEUE.sub(lambda found: queue_urls[found[1].replace("_", "-")], self.text)


@dataclass(frozen=True)
class Topology:
    buckets: Mapping[str, Bucket]
    tables: Mapping[str, Table]
    topics: tuple[str, ...]
    mail: Mapping[str, str]
    databases: tuple[str, ...]
    secrets: tuple[str, ...]
    sites: Mapping[str, tuple[str, ...]]
    workflows: Mapping[str, Workflow]


def load(path: Path) -> Topology:
    """The topology in `path`. Raises ConfigurationError naming the field that is wrong."""
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        loaded = Topology(
            buckets={name: Bucket(**(item or {})) for name, item in document["buckets"].items()},
            tables={name: _table(item) for name, item in document["tables"].items()},
            topics=tuple(document["topics"]),
            mail=dict(document["mail"]),
            databases=tuple(document["databases"]),
            secrets=tuple(document["secrets"]),
            sites={name: tuple(origins) for name, origins in document["sites"].items()},
            workflows={
                name: _workflow(path.parent / file) for name, file in document["workflows"].items()
            },
        )
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["expected the lab's topology, found none"]) from None
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"a field is missing or wrong: {error!r}"]) from None
    mistakes = [
        f"uploads_from of the bucket {name!r} must be one of {sorted(loaded.sites)}, "
        f"got {bucket.uploads_from!r}"
        for name, bucket in loaded.buckets.items()
        if bucket.uploads_from is not None and bucket.uploads_from not in loaded.sites
    ]
    if mistakes:
        raise ConfigurationError(str(path), mistakes)
    return loaded


def _workflow(path: Path) -> Workflow:
    """The state machine in `path`, which is JSON before anything is filled in."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), [f"expected a state machine: {error}"]) from None
    return Workflow(text)


def _table(item: dict[str, Any]) -> Table:
    return Table(
        hash_key=item["hash_key"],
        range_key=item.get("range_key"),
        ttl=item.get("ttl"),
        indexes={name: Index(**index) for name, index in item.get("indexes", {}).items()},
    )
