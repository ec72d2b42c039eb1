"""Reads `function.yaml`: what one function needs, may do and may cost.

The worker, the embedded lab and the image build read it here; Terraform reads the same file with
`yamldecode`. Handlers never import this module: what they need reaches them as environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.platform.errors import ConfigurationError
from services.platform.yaml_reader import YamlReader, parse_yaml

# Lambda's own limits: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MEMORY_MIB_RANGE = (128, 10_240)
# Lambda gives CPU by memory, one whole processor at this size:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MIB_PER_CPU = 1_769
# A worker's own process, beside the environments of its function.
WORKER_MIB = 160
TIMEOUT_SECONDS_RANGE = (1, 900)
BATCH_SIZE_RANGE = (1, 10_000)
BATCH_WINDOW_SECONDS_RANGE = (0, 300)
MAXIMUM_CONCURRENCY_RANGE = (2, 1_000)
RESERVED_CONCURRENCY_RANGE = (1, 1_000)
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
AUTHORIZER_CACHE_SECONDS_RANGE = (0, 3_600)
# An HTTP API waits this long: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
API_TIMEOUT_SECONDS = 30
# What browsers keep a preflight's answer for, at most (Chromium: two hours; Firefox: a day).
CORS_MAX_AGE_SECONDS_RANGE = (0, 86_400)
# SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_RECEIVE_COUNT_RANGE = (1, 1_000)
# Of the execution environments of a fair function, one owner's messages keep so many busy. The rest
# is what makes other owners' messages wait for none of them.
OWNER_SHARE = 0.8
# AWS advises a queue's visibility timeout of six function timeouts:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT = 6


# EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
# Of one it says "minute", of more "minutes".
_RATE = r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)"
# Minutes, hours, day of the month, month, day of the week, year; one of the days is left open.
_FIELD = r"[0-9A-Z*,/#-]+"
_CRON = rf"cron\({_FIELD} {_FIELD} (\? {_FIELD} {_FIELD}|{_FIELD} {_FIELD} \?) {_FIELD}\)"
_SCHEDULE = re.compile(f"{_RATE}|{_CRON}")
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE|OPTIONS|ANY) (/[A-Za-z0-9/{}_.+-]*)")
_PATH_PARAMETER = re.compile(r"{([A-Za-z0-9_]+)\+?}")
_FIELDS = {
    "description", "feature", "memory_mib", "timeout_seconds", "trigger", "grants", "environment",
    "budgets",
}  # fmt: skip
# The one source of a queue that is nothing in the topology.
SCHEDULE = "schedule"


class Resource(StrEnum):
    """What a grant, an environment value or a source can point at in the topology."""

    BUCKET = "bucket"
    TABLE = "table"
    TOPIC = "topic"
    MAIL = "mail"
    DATABASE = "database"
    """As an environment value: its URL, without a password."""
    SECRET = "secret"  # noqa: S105  the word, not one
    """As an environment value: its ARN."""
    WORKFLOW = "workflow"
    """As an environment value: the state machine's ARN."""
    SITE = "site"
    """As an environment value: its origins, separated by commas."""
    API = "api"
    """As an environment value, `{api: cors}`: every route's CORS rules, as JSON."""
    RECIPES = "recipes"
    """As an environment value: `definitions` as JSON, their `names`, separated by commas, or the
    name of the `default` one."""
    LAB = "lab"
    """The whole lab. As an environment value: the `prefix` of its resources' names, its `functions`
    by commas, the source of its `telemetry`, or `administrator-second-factor`: whether
    administrators need one. In a grant: all `queues`, `dead-letters`, `log-groups` or `functions`,
    the record of the `release`, and what has no resource: `all-queues`, `logs`, `metrics`."""


class Feature(StrEnum):
    """The part of Darkroom that a function belongs to. A lab runs any set of them that is closed
    under what each one needs."""

    PHOTOS = "photos"
    """From the bucket to renditions, catalogue, events and e-mails."""
    CUSTOMERS = "customers"
    """Users, sessions, uploads and the HTTP API."""
    ORDERS = "orders"
    """Products, orders, payments and prints."""

    @property
    def needs(self) -> frozenset[Feature]:
        """The features that this one does not work without."""
        return _NEEDS[self]


_NEEDS: Mapping[Feature, frozenset[Feature]] = {
    Feature.PHOTOS: frozenset(),
    Feature.CUSTOMERS: frozenset({Feature.PHOTOS}),
    Feature.ORDERS: frozenset({Feature.PHOTOS, Feature.CUSTOMERS}),
}


class Authorization(StrEnum):
    """Who may call a route. The function itself enforces it, from what the authorizer found."""

    NONE = "none"
    SESSION = "session"


@dataclass(frozen=True)
class Reference:
    """A resource by its logical name in `terraform/lab/topology.yaml`."""

    resource: Resource
    name: str


@dataclass(frozen=True)
class Source:
    """What feeds a function's queue: a bucket's events, or a topic's messages by filter."""

    reference: Reference
    events: tuple[str, ...] = ()
    filter: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class QueueTrigger:
    """How messages are taken from the function's queue, in the terms of Lambda's event source
    mapping. `batch_window_seconds` is the longest wait for a full batch. `schedule` is when
    EventBridge sends a message by itself, `rate(...)` or `cron(...)` in UTC. `fair`: the function
    bounds what one owner gets, and sends messages to its own queue again for that. `postpones`: it
    sends messages again that must wait (PostponedError)."""

    batch_size: int
    batch_window_seconds: int
    maximum_concurrency: int
    max_receive_count: int
    sources: tuple[Source, ...]
    schedule: str | None = None
    fair: bool = False
    postpones: bool = False

    @property
    def sends_to_itself(self) -> bool:
        """Whether the function sends to its own queue; it gets QUEUE_URL and the permission."""
        return self.fair or self.postpones

    def owner_environments(self, environments: float) -> float:
        """The environments that one owner may keep busy, of those that the function has."""
        return environments * OWNER_SHARE


@dataclass(frozen=True)
class Cors:
    """Which web pages may call a route from a browser: the origins of a site, the request headers
    that they may send and the answer's headers that they may read."""

    site: Reference
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age_seconds: int


@dataclass(frozen=True)
class HttpRoute:
    """A method and a path, which may hold parameters: `/images/{id}`."""

    method: str
    path: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(_PATH_PARAMETER.findall(self.path))


@dataclass(frozen=True)
class HttpTrigger:
    """The routes of the HTTP API that the function answers: `route`, or `routes` for several.
    `maximum_concurrency` is the function's reserved concurrency."""

    routes: tuple[HttpRoute, ...]
    authorization: Authorization
    maximum_concurrency: int
    cors: Cors | None

    @property
    def only(self) -> HttpRoute:
        """The route of a function that has one. Raises ValueError if it has several."""
        (route,) = self.routes
        return route


@dataclass(frozen=True)
class AuthorizerTrigger:
    """The API's Lambda authorizer; its answers are kept by token for `cache_seconds`."""

    cache_seconds: int
    maximum_concurrency: int


@dataclass(frozen=True)
class Grant:
    """Actions that the function's role may take on one resource."""

    reference: Reference
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Budgets:
    """What the function may cost. The image size over the base is in MiB. `init_kib` is how much
    code and data initialization reads, in KiB: container tests check it, since it is the same on
    every machine. `init_ms` is the initialization time at 1769 MB (one CPU) over the base's:
    benchmarks/cold_start measures it."""

    image_mib_over_base: int
    init_kib: int
    init_ms: int


@dataclass(frozen=True)
class Manifest:
    """One function, as its `function.yaml` declares it."""

    name: str
    folder: Path
    description: str
    feature: Feature
    memory_mib: int
    timeout_seconds: int
    queue: QueueTrigger | None
    http: HttpTrigger | None
    authorizer: AuthorizerTrigger | None
    grants: tuple[Grant, ...]
    environment: Mapping[str, str | Reference]
    budgets: Budgets

    @property
    def visibility_timeout_seconds(self) -> int:
        return self.timeout_seconds * VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT

    @property
    def cpus(self) -> float:
        """The processors that Lambda gives the function."""
        return self.memory_mib / MIB_PER_CPU


def load(folder: Path) -> Manifest:
    """The manifest in `folder`; the folder's name is the function's.

    Raises ConfigurationError with every mistake in the file.
    """
    import yaml  # only here: PyYAML has no place in a handler's cold start

    path = folder / "function.yaml"
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(str(path), ["expected a function manifest, found none"]) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(str(path), [f"expected YAML: {error}"]) from None
    reader = YamlReader(document, _FIELDS)
    manifest = Manifest(
        name=folder.name,
        folder=folder,
        description=reader.text("description"),
        feature=reader.choice("feature", Feature),
        memory_mib=reader.integer("memory_mib", MEMORY_MIB_RANGE),
        timeout_seconds=reader.integer("timeout_seconds", TIMEOUT_SECONDS_RANGE),
        queue=_queue(reader),
        http=_http(reader),
        authorizer=_authorizer(reader),
        grants=tuple(
            Grant(_reference(reader, item, f"grants[{i}]"), reader.texts(item, "actions"))
            for i, item in enumerate(reader.sequence("grants"))
        ),
        environment={
            str(name): _reference(reader, value, f"environment.{name}")
            if isinstance(value, dict)
            else str(value)
            for name, value in reader.mapping("environment").items()
        },
        budgets=Budgets(
            image_mib_over_base=reader.integer("budgets.image_mib_over_base", (1, 10_240)),
            init_kib=reader.integer("budgets.init_kib", (1, 100_000)),
            init_ms=reader.integer("budgets.init_ms", (1, 10_000)),
        ),
    )
    if manifest.http is not None and manifest.timeout_seconds >= API_TIMEOUT_SECONDS:
        reader.mistakes.append(
            f"timeout_seconds of a route must be less than the API's {API_TIMEOUT_SECONDS}, "
            f"got {manifest.timeout_seconds}"
        )
    reader.refuse_unknown()
    if reader.mistakes:
        raise ConfigurationError(str(path), reader.mistakes)
    return manifest


def load_all(images: Path) -> tuple[Manifest, ...]:
    """Every function under `images`, by name. Raises ConfigurationError."""
    return tuple(load(path.parent) for path in sorted(images.glob("*/function.yaml")))


def closed(features: Iterable[Feature]) -> frozenset[Feature]:
    """`features` and everything that they need."""
    wanted = frozenset(features)
    return wanted.union(*(feature.needs for feature in wanted))


def parse_features(text: str) -> frozenset[Feature]:
    """The features of a list such as `photos,customers`. Raises ConfigurationError."""
    names = set(text.replace(",", " ").split())
    if not names or names - set(Feature):
        raise ConfigurationError("features", [f"expected {', '.join(Feature)}, got {text!r}"])
    return frozenset(map(Feature, names))


def _queue(reader: YamlReader) -> QueueTrigger | None:
    if "queue" not in reader.mapping("trigger"):
        return None
    base = "trigger.queue"
    sources, schedules = [], []
    for i, item in enumerate(reader.sequence(f"{base}.sources")):
        if isinstance(item, dict) and SCHEDULE in item:
            schedules.append(_schedule(reader, item, f"{base}.sources[{i}]"))
            continue
        reference = _reference(reader, item, f"{base}.sources[{i}]")
        wanted = item.get("filter") if isinstance(item, dict) else None
        sources.append(
            Source(
                reference=reference,
                events=reader.texts(item, "events", required=reference.resource is Resource.BUCKET),
                filter={k: tuple(v) for k, v in wanted.items()} if wanted else None,
            )
        )
    if len(schedules) > 1:
        # One rule, of the function's name.
        reader.mistakes.append(f"{base}.sources may have one schedule, got {len(schedules)}")
    return QueueTrigger(
        batch_size=reader.integer(f"{base}.batch_size", BATCH_SIZE_RANGE),
        batch_window_seconds=reader.integer(
            f"{base}.batch_window_seconds", BATCH_WINDOW_SECONDS_RANGE
        ),
        maximum_concurrency=reader.integer(
            f"{base}.maximum_concurrency", MAXIMUM_CONCURRENCY_RANGE
        ),
        max_receive_count=reader.integer(f"{base}.max_receive_count", MAX_RECEIVE_COUNT_RANGE),
        sources=tuple(sources),
        schedule=next(iter(schedules), None),
        fair=reader.boolean(f"{base}.fair"),
        postpones=reader.boolean(f"{base}.postpones"),
    )


def _http(reader: YamlReader) -> HttpTrigger | None:
    if "http" not in reader.mapping("trigger"):
        return None
    base = "trigger.http"
    return HttpTrigger(
        routes=_routes(reader, base),
        authorization=reader.choice(f"{base}.authorization", Authorization),
        maximum_concurrency=reader.integer(
            f"{base}.maximum_concurrency", RESERVED_CONCURRENCY_RANGE
        ),
        cors=_cors(reader, f"{base}.cors"),
    )


def _cors(reader: YamlReader, base: str) -> Cors | None:
    item = reader.mapping(base)
    if not item:
        return None
    return Cors(
        site=_reference(reader, item, base),
        allow_headers=reader.texts(item, "allow_headers", required=False),
        expose_headers=reader.texts(item, "expose_headers", required=False),
        max_age_seconds=reader.integer(f"{base}.max_age_seconds", CORS_MAX_AGE_SECONDS_RANGE),
    )


def _authorizer(reader: YamlReader) -> AuthorizerTrigger | None:
    if "authorizer" not in reader.mapping("trigger"):
        return None
    base = "trigger.authorizer"
    return AuthorizerTrigger(
        cache_seconds=reader.integer(f"{base}.cache_seconds", AUTHORIZER_CACHE_SECONDS_RANGE),
        maximum_concurrency=reader.integer(
            f"{base}.maximum_concurrency", RESERVED_CONCURRENCY_RANGE
        ),
    )


def _routes(reader: YamlReader, base: str) -> tuple[HttpRoute, ...]:
    if "routes" not in reader.mapping(base):
        return (_route(reader, f"{base}.route", reader.at(f"{base}.route")),)
    if "route" in reader.mapping(base):
        reader.mistakes.append(f"{base} must have either route or routes, got both")
    values = reader.sequence(f"{base}.routes")
    return tuple(_route(reader, f"{base}.routes[{i}]", v) for i, v in enumerate(values))


def _route(reader: YamlReader, path: str, value: Any) -> HttpRoute:
    matched = _ROUTE.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        reader.mistakes.append(
            f"{path} must be a method and a path such as 'GET /images/{{id}}', got {value!r}"
        )
        return HttpRoute("GET", "/")
    return HttpRoute(matched[1], matched[2])


def _schedule(reader: YamlReader, item: dict[str, Any], where: str) -> str:
    value = item[SCHEDULE]
    if set(item) != {SCHEDULE}:
        reader.mistakes.append(f"{where} must have a schedule alone, got {item!r}")
    if not isinstance(value, str) or _SCHEDULE.fullmatch(value) is None:
        reader.mistakes.append(
            f"{where} must have a schedule such as 'rate(1 minute)', 'rate(5 minutes)' or "
            f"'cron(0 12 * * ? *)', got {value!r}"
        )
    return str(value)


def _reference(reader: YamlReader, item: Any, where: str) -> Reference:
    kinds = [r for r in Resource if isinstance(item, dict) and r.value in item]
    if len(kinds) != 1:
        expected = ", ".join(r.value for r in Resource)
        reader.mistakes.append(f"{where} must name exactly one of {expected}, got {item!r}")
        return Reference(Resource.BUCKET, "")
    return Reference(kinds[0], str(item[kinds[0].value]))
