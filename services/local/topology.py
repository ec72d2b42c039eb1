"""Reads `terraform/lab/topology.yaml`: the resources that functions share."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from services.catalog import recipes
from services.catalog.recipes import RecipeFile
from services.imaging.recipes import STANDARD
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, Reference, Resource
from services.platform.yaml_reader import parse_yaml

Item = TypeVar("Item")
_QUEUE = re.compile(r"\$\{queue_([a-z0-9_]+)\}")


@dataclass(frozen=True)
class Bucket:
    """`uploads_from` names the site whose pages may upload with signed forms. On AWS, objects are
    deleted after `expire_days`; None: never."""

    versioned: bool = False
    uploads_from: str | None = None
    expire_days: int | None = None


@dataclass(frozen=True)
class Index:
    hash_key: str
    range_key: str


@dataclass(frozen=True)
class Table:
    """A DynamoDB table; every key attribute is a string. `ttl` names the expiry attribute."""

    hash_key: str
    range_key: str | None
    ttl: str | None
    indexes: Mapping[str, Index]


@dataclass(frozen=True)
class Topic:
    """`published_by` names the AWS service that may publish; None: functions with the grant."""

    published_by: str | None = None


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
        """The text with the queues' URLs filled in, by the functions' names."""
        return _QUEUE.sub(lambda found: queue_urls[found[1].replace("_", "-")], self.text)


@dataclass(frozen=True)
class Topology:
    buckets: Mapping[str, Bucket]
    tables: Mapping[str, Table]
    topics: Mapping[str, Topic]
    mail: Mapping[str, str]
    databases: tuple[str, ...]
    secrets: tuple[str, ...]
    sites: Mapping[str, tuple[str, ...]]
    workflows: Mapping[str, Workflow]
    recipes: RecipeFile
    recipe: str = STANDARD
    """The recipe of uploads that choose none."""
    administrator_second_factor: bool = False
    """Whether administrators need a second factor."""

    @property
    def recipe_values(self) -> dict[str, str]:
        """What a function's environment may refer to."""
        return {
            "definitions": self.recipes.text,
            "names": ",".join(sorted(self.recipes.recipes)),
            "default": self.recipe,
        }

    def with_recipe(self, name: str) -> Topology:
        """With the default recipe `name`. Raises ConfigurationError."""
        return dataclasses.replace(self, recipe=self.recipes.with_default(name).default)

    def with_second_factor(self, required: bool) -> Topology:
        """With `administrator_second_factor`."""
        return dataclasses.replace(self, administrator_second_factor=required)

    def with_sites(self, origins: Sequence[str]) -> Topology:
        """With `origins` allowed in every site, besides those in the file."""
        sites = {name: tuple(dict.fromkeys((*own, *origins))) for name, own in self.sites.items()}
        return dataclasses.replace(self, sites=sites)


def restricted(topology: Topology, manifests: Sequence[Manifest]) -> Topology:
    """The part of `topology` that `manifests` use, and what that part needs itself."""
    named: dict[Resource, set[str]] = {kind: set() for kind in Resource}
    for manifest in manifests:
        references = [grant.reference for grant in manifest.grants]
        references += [v for v in manifest.environment.values() if isinstance(v, Reference)]
        references += [s.reference for s in manifest.queue.sources] if manifest.queue else []
        if manifest.http is not None and manifest.http.cors is not None:
            references.append(manifest.http.cors.site)
        for reference in references:
            named[reference.resource].add(reference.name)
    buckets = _only(topology.buckets, named[Resource.BUCKET])
    sites = {bucket.uploads_from for bucket in buckets.values() if bucket.uploads_from}
    return Topology(
        buckets=buckets,
        tables=_only(topology.tables, named[Resource.TABLE]),
        topics=_only(topology.topics, named[Resource.TOPIC]),
        mail=_only(topology.mail, named[Resource.MAIL]),
        databases=tuple(name for name in topology.databases if name in named[Resource.DATABASE]),
        secrets=tuple(name for name in topology.secrets if name in named[Resource.SECRET]),
        sites=_only(topology.sites, named[Resource.SITE] | sites),
        workflows=_only(topology.workflows, named[Resource.WORKFLOW]),
        recipes=topology.recipes,
        recipe=topology.recipe,
        administrator_second_factor=topology.administrator_second_factor,
    )


def _only(items: Mapping[str, Item], names: Collection[str]) -> dict[str, Item]:
    return {name: item for name, item in items.items() if name in names}


def load(path: Path) -> Topology:
    """The topology in `path`. Raises ConfigurationError naming the field that is wrong."""
    try:
        document: dict[str, Any] = parse_yaml(path.read_text(encoding="utf-8"))
        loaded = Topology(
            buckets={name: Bucket(**(item or {})) for name, item in document["buckets"].items()},
            tables={name: _table(item) for name, item in document["tables"].items()},
            topics={name: Topic(**(item or {})) for name, item in document["topics"].items()},
            mail=dict(document["mail"]),
            databases=tuple(document["databases"]),
            secrets=tuple(document["secrets"]),
            sites={name: tuple(origins) for name, origins in document["sites"].items()},
            workflows={
                name: _workflow(path.parent / file) for name, file in document["workflows"].items()
            },
            recipes=recipes.load(path.parent / document["recipes"]),
        )
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["the lab's topology is missing"]) from None
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
    """The state machine in `path`, which is JSON already before the URLs are filled in."""
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
