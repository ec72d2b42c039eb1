"""What the gateway serves: CONFIG.json of a lab, or one function in its container.

Both are read once into a `Plan`; all mistakes are reported together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.gateway import routes
from services.gateway.event_stream import HEARTBEAT_SECONDS
from services.gateway.event_stream import ROUTE as EVENTS_ROUTE
from services.gateway.events import Api
from services.gateway.routes import Route
from services.platform import manifest as manifests
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError
from services.platform.manifest import Authorization, Manifest
from services.runtime.configuration import (
    DEFAULT_IDLE_SECONDS,
    INIT_SECONDS_RANGE,
    MAX_CONCURRENCY,
    MAX_IDLE_SECONDS,
    Fields,
    FunctionConfiguration,
    ProcessConfiguration,
    make_function,
    read_document,
    read_manifest,
    read_region,
    read_variables,
)
from services.runtime.function import Function

ACCOUNT_ID = "000000000000"
API_ID = "darkroom"
DEFAULT_PORT = 8080
DEFAULT_CONCURRENCY = 4
MAX_PORT = 65_535
HEARTBEAT_SECONDS_RANGE = (1, 60)


@dataclass(frozen=True)
class Configuration(FunctionConfiguration):
    """Settings of a single function's container. See `help` of each field."""

    host: str = variable("WORKER_HTTP_HOST", default="0.0.0.0", help="address to listen on")  # noqa: S104  a container's
    port: int = variable(
        "WORKER_HTTP_PORT",
        default=DEFAULT_PORT,
        minimum=0,
        maximum=MAX_PORT,
        help="port to listen on; 0 takes a free one",
    )
    idle_seconds: int = variable(
        "WORKER_HTTP_IDLE_SECONDS",
        default=DEFAULT_IDLE_SECONDS,
        minimum=1,
        maximum=MAX_IDLE_SECONDS,
        help="an environment without work is closed after this time",
    )
    invoke_api: bool | None = variable(
        "WORKER_HTTP_INVOKE",
        default=None,
        help="whether Lambda's Invoke API is served, to every client that reaches the port: it "
        "accepts any event and so bypasses authorization (default: only for an authorizer)",
    )
    authorizer_url: str | None = variable(
        "WORKER_AUTHORIZER_URL",
        default=None,
        help="address of the authorizer's container, where the route requires a session",
    )
    authorizer_cache_seconds: int = variable(
        "WORKER_AUTHORIZER_CACHE_SECONDS",
        default=30,
        minimum=manifests.AUTHORIZER_CACHE_SECONDS_RANGE[0],
        maximum=manifests.AUTHORIZER_CACHE_SECONDS_RANGE[1],
        help="how long the authorizer's decision on a token is cached",
    )


@dataclass(frozen=True)
class Served:
    """A function and the number of environments it may have."""

    function: Function
    concurrency: int


@dataclass(frozen=True)
class AuthorizedBy:
    """The authorizer: a function that is served here, or the container at a URL."""

    function: str | None
    url: str | None
    cache_seconds: int


@dataclass(frozen=True)
class Rate:
    """The stage's throttle."""

    requests_per_second: float
    burst: int


@dataclass(frozen=True)
class SiteFolder:
    """The web page's files, and the origins with which it exchanges photos. With Stripe's
    publishable key it has Stripe's form."""

    folder: Path
    origins: tuple[str, ...]
    stripe_publishable_key: str | None = None


@dataclass(frozen=True)
class Events:
    """The event stream: the SQS queue of what it sends, and how often it sends anything."""

    queue_url: str
    heartbeat_seconds: int


@dataclass(frozen=True)
class Plan:
    """Everything that the gateway serves. `invoked` is the function behind the Invoke API;
    `prewarmed` starts one environment of every function at once; `site` is the web page;
    `events` the event stream, if there is one."""

    host: str
    port: int
    api: Api
    functions: tuple[Served, ...]
    routes: tuple[Route, ...]
    authorizer: AuthorizedBy | None
    throttle: Rate | None
    invoked: str | None
    prewarmed: bool
    idle_seconds: float
    process: ProcessConfiguration
    site: SiteFolder | None = None
    events: Events | None = None


def single(folder: Path, environ: Mapping[str, str]) -> Plan:
    """The plan for the function in `folder`. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    configuration = read_variables(Configuration, environ, mistakes)
    manifest = read_manifest(folder, mistakes)
    region = read_region(environ, {}, mistakes)
    if manifest is not None and manifest.http is None and manifest.authorizer is None:
        mistakes.append(f"{folder} has neither an http nor an authorizer trigger")
    requires_session = manifest is not None and _requires_session(manifest)
    url = environ.get("WORKER_AUTHORIZER_URL", "").strip()
    if url and not _is_http_url(url):
        mistakes.append(f"WORKER_AUTHORIZER_URL must be an http or https address, got {url!r}")
    if requires_session and not url and (manifest is None or manifest.authorizer is None):
        mistakes.append("WORKER_AUTHORIZER_URL is not set (the route requires a session)")
    if configuration is None or manifest is None or mistakes:
        raise ConfigurationError("the worker's configuration", mistakes)
    name = configuration.function_name or manifest.name
    own = _routes(manifest, name)
    if mistakes := routes.mistakes(own):
        raise ConfigurationError("the worker's configuration", mistakes)
    served = Served(
        _function(manifest, name, region, configuration.init_seconds, {}, environ),
        configuration.concurrency,
    )
    authorizer = None
    if manifest.authorizer is not None:
        authorizer = AuthorizedBy(name, None, manifest.authorizer.cache_seconds)
    elif requires_session:
        authorizer = AuthorizedBy(None, url, configuration.authorizer_cache_seconds)
    invokes = configuration.invoke_api
    if invokes is None:
        invokes = manifest.http is None
    return Plan(
        host=configuration.host,
        port=configuration.port,
        api=Api(ACCOUNT_ID, region, API_ID),
        functions=(served,),
        routes=own,
        authorizer=authorizer,
        throttle=None,
        invoked=name if invokes else None,
        prewarmed=True,
        idle_seconds=configuration.idle_seconds,
        process=configuration,
    )


def gateway(path: Path, environ: Mapping[str, str]) -> Plan:
    """The plan in CONFIG.json. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    process = read_variables(ProcessConfiguration, environ, mistakes)
    document = read_document(path, mistakes)
    document.only(
        "host", "port", "functions", "throttle", "idle_seconds", "init_seconds", "status_file",
        "site", "site_origins", "stripe_publishable_key", "events",
    )  # fmt: skip
    host = document.text("host", "127.0.0.1", "an address")
    port = document.integer("port", (0, MAX_PORT), DEFAULT_PORT)
    idle = document.integer("idle_seconds", (1, MAX_IDLE_SECONDS), DEFAULT_IDLE_SECONDS)
    init_default = process.init_seconds if process is not None else 1
    init_seconds = document.integer("init_seconds", INIT_SECONDS_RANGE, init_default)
    status_file = document.path("status_file")
    throttle = _throttle(document)
    site = _site(document)
    served: list[Served] = []
    found: list[Manifest] = []
    region = ""
    for entry in document.entries("functions"):
        entry.only("folder", "environment", "concurrency")
        concurrency = entry.integer("concurrency", (1, MAX_CONCURRENCY), DEFAULT_CONCURRENCY)
        variables = entry.texts("environment")
        region = read_region(environ, variables, mistakes, f" for {entry.label}")
        manifest = read_manifest(Path(entry.text("folder", None)), mistakes)
        if manifest is None:
            continue
        if manifest.http is None and manifest.authorizer is None:
            mistakes.append(
                f"{entry.label} ({manifest.name}) has neither an http nor an authorizer trigger"
            )
        if any(manifest.name == other.name for other in found):
            mistakes.append(f"{entry.label} repeats {manifest.name}: expected each function once")
        found.append(manifest)
        function = _function(manifest, manifest.name, region, init_seconds, variables, environ)
        served.append(Served(function, concurrency))
    all_routes = tuple(route for m in found for route in _routes(m, m.name))
    events = _events(document)
    if events is not None:
        all_routes = (*all_routes, EVENTS_ROUTE)
    mistakes += routes.mistakes(all_routes)
    deciding = [m for m in found if m.authorizer is not None]
    if len(deciding) > 1:
        names = ", ".join(m.name for m in deciding)
        mistakes.append(f"expected one authorizer, got {names}")
    if not deciding and (wanting := [r.key for r in all_routes if r.authorized]):
        mistakes.append(f"expected a function with trigger.authorizer, for {', '.join(wanting)}")
    if mistakes or process is None:
        raise ConfigurationError(str(path), mistakes)
    authorizer = None
    for m in deciding:
        if m.authorizer is not None:
            authorizer = AuthorizedBy(m.name, None, m.authorizer.cache_seconds)
    return Plan(
        host=host,
        port=port,
        api=Api(ACCOUNT_ID, region, API_ID),
        functions=tuple(served),
        routes=all_routes,
        authorizer=authorizer,
        throttle=throttle,
        # It would let every client of the port send any event to any function.
        invoked=None,
        prewarmed=False,
        idle_seconds=idle,
        process=replace(process, status_file=status_file or process.status_file),
        site=site,
        events=events,
    )


def _events(document: Fields) -> Events | None:
    value = document.get("events")
    if value is None:
        return None
    if not isinstance(value, dict) or not _is_http_url(str(value.get("queue_url"))):
        document.mistakes.append(
            f"events must be an object with queue_url, the URL of a queue, got {value!r:.100}"
        )
        return None
    fields = Fields(value, document.mistakes, "events.")
    fields.only("queue_url", "heartbeat_seconds")
    heartbeat = fields.integer("heartbeat_seconds", HEARTBEAT_SECONDS_RANGE, HEARTBEAT_SECONDS)
    return Events(value["queue_url"], heartbeat)


def _site(document: Fields) -> SiteFolder | None:
    folder, origins = document.path("site"), document.get("site_origins")
    if origins is not None and (
        not isinstance(origins, list) or not all(isinstance(item, str) for item in origins)
    ):
        document.mistakes.append(f"site_origins must be a list of origins, got {origins!r:.100}")
        return None
    key = document.get("stripe_publishable_key")
    # A secret key on a page would be public.
    if key is not None and not (isinstance(key, str) and key.startswith("pk_")):
        document.mistakes.append("stripe_publishable_key must begin with pk_")
        return None
    return SiteFolder(folder, tuple(origins or ()), key) if folder is not None else None


def _requires_session(manifest: Manifest) -> bool:
    return manifest.http is not None and manifest.http.authorization is Authorization.SESSION


def _routes(manifest: Manifest, name: str) -> tuple[Route, ...]:
    if manifest.http is None:
        return ()
    authorized = _requires_session(manifest)
    return tuple(Route(r.method, r.path, name, authorized) for r in manifest.http.routes)


def _function(
    manifest: Manifest,
    name: str,
    region: str,
    init_seconds: int,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
) -> Function:
    return make_function(
        manifest,
        name,
        f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}",
        init_seconds,
        environ,
        {"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        variables,
    )


def _is_http_url(text: str) -> bool:
    try:
        address = urlsplit(text)
        port = address.port
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname) and port != 0


def _throttle(document: Fields) -> Rate | None:
    value: Any = document.get("throttle")
    if value is None:
        return None
    if not isinstance(value, dict):
        document.mistakes.append(f"throttle must be an object or null, got {value!r:.100}")
        return None
    Fields(value, document.mistakes, "throttle.").only("requests_per_second", "burst")
    rate = value.get("requests_per_second")
    burst = value.get("burst")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        document.mistakes.append(
            f"throttle.requests_per_second must be more than 0, got {rate!r:.100}"
        )
        return None
    if type(burst) is not int or burst < 1:
        document.mistakes.append(
            f"throttle.burst must be a whole number of at least 1, got {burst!r:.100}"
        )
        return None
    return Rate(float(rate), burst)
