"""Reads `terraform/lab/topology.yaml`: what the functions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.platform.errors import ConfigurationError


@dataclass(frozen=True)
class Bucket:
    versioned: bool = False


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
class Topology:
    buckets: Mapping[str, Bucket]
    tables: Mapping[str, Table]
    topics: tuple[str, ...]
    mail: Mapping[str, str]


def load(path: Path) -> Topology:
    """The topology in `path`. Raises ConfigurationError naming the field that is wrong."""
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Topology(
            buckets={name: Bucket(**(item or {})) for name, item in document["buckets"].items()},
            tables={name: _table(item) for name, item in document["tables"].items()},
            topics=tuple(document["topics"]),
            mail=dict(document["mail"]),
        )
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["expected the lab's topology, found none"]) from None
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"a field is missing or wrong: {error!r}"]) from None


def _table(item: dict[str, Any]) -> Table:
    return Table(
        hash_key=item["hash_key"],
        range_key=item.get("range_key"),
        ttl=item.get("ttl"),
        indexes={name: Index(**index) for name, index in item.get("indexes", {}).items()},
    )
