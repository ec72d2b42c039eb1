"""What the http source serves: CONFIG.json of the gateway, or a container's variables.

Both are read once into a `Plan`; all mistakes are reported together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.gateway import routes
from services.gateway.events import Api
from services.gateway.routes import Route
from services.platform import manifest as manifests
from services.platform.configuration import read, variable
from services.platform.errors import ConfigurationError
from services.platform.manifest import Authorization, Manifest
from services.runtime.execution import Function
from services.worker.configuration import MAX_CONCURRENCY

ACCOUNT_ID = "000000000000"
API_ID = "darkroom"
DEFAULT_PORT = 8080
DEFAULT_CONCURRENCY = 4
DEFAULT_IDLE_SECONDS = 300
MAX_PORT = 65_535
MAX_IDLE_SECONDS = 86_400


@dataclass(frozen=True)
class Running:
    """What both forms read of the environment. Whole seconds."""

    drain_seconds: int = variable(
        "WORKER_DRAIN_SECONDS",
        default=25,
        minimum=0,
        maximum=3600,
        help="time after SIGTERM for running requests to finish (ECS kills after 30 s)",
    )
    init_seconds: int = variable(
        "WORKER_INIT_SECONDS",
        default=10,
        minimum=1,
        maximum=900,
        help="time for an execution environment to start",
    )
    health_file: Path | None = variable(
        "WORKER_HEALTH_FILE",
        default=None,
        help="touched every second while the worker is healthy, for `health`",
    )


@dataclass(frozen=True)
class Configuration(Running):
    """A single function's container. See `help` of each field."""

    function_name: str | None = variable(
        "WORKER_FUNCTION_NAME",
        default=None,
        help="the function's name where its folder has another (in an image: /var/task)",
    )
    concurrency: int = variable(
        "WORKER_CONCURRENCY",
        default=1,
        minimum=1,
        maximum=MAX_CONCURRENCY,
        help="execution environments; each works on one request at a time",
    )
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
        help="whether Lambda's Invoke API is served, to whoever reaches the port: it takes any "
        "event, so it passes by authorisation (default: only for an authorizer, which decides "
        "nothing by itself)",
    )
    authorizer_url: str | None = variable(
        "WORKER_AUTHORIZER_URL",
        default=None,
        help="address of the authorizer's container, where the route wants a session",
    )
    authorizer_cache_seconds: int = variable(
        "WORKER_AUTHORIZER_CACHE_SECONDS",
        default=30,
        minimum=manifests.AUTHORIZER_CACHE_SECONDS_RANGE[0],
        maximum=manifests.AUTHORIZER_CACHE_SECONDS_RANGE[1],
        help="how long the authorizer's decision on a token is kept",
    )


@dataclass(frozen=True)
class Served:
    """A function and how many environments it may have."""

    function: Function
    concurrency: int


@dataclass(frozen=True)
class AuthorizedBy:
    """Who decides: a function that is served here, or the container at a URL."""

    function: str | None
    url: str | None
    cache_seconds: int


@dataclass(frozen=True)
class Rate:
    """The stage's throttle."""

    requests_per_second: float
    burst: int


@dataclass(frozen=True)
class Plan:
    """All that an http source needs to know. `invoked` is the function that the Invoke API reaches;
    `prewarmed` has every function start one environment at once."""

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
    running: Running


def single(folder: Path, environ: Mapping[str, str]) -> Plan:
    """The plan for the function in `folder`. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    configuration = _configuration(Configuration, environ, mistakes)
    manifest = _manifest(folder, mistakes)
    region = _region(environ, {}, "", mistakes)
    if manifest is not None and manifest.http is None and manifest.authorizer is None:
        mistakes.append(f"{folder} has neither an http nor an authorizer trigger")
    wants_session = manifest is not None and _wants_session(manifest)
    url = environ.get("WORKER_AUTHORIZER_URL", "").strip()
    if url and not _is_http_url(url):
        mistakes.append(f"WORKER_AUTHORIZER_URL must be an http or https address, got {url!r}")
    if wants_session and not url and (manifest is None or manifest.authorizer is None):
        mistakes.append("WORKER_AUTHORIZER_URL is not set (the route wants a session)")
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
    elif wants_session:
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
        running=configuration,
    )


def gateway(path: Path, environ: Mapping[str, str]) -> Plan:
    """The plan in CONFIG.json. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    running = _configuration(Running, environ, mistakes)
    document = _document(path, mistakes)
    _known(document, {"host", "port", "functions", "throttle", "idle_seconds"}, "", mistakes)
    host = document.get("host", "127.0.0.1")
    if not isinstance(host, str) or not host:
        mistakes.append(f"host must be an address, got {host!r}")
    port = _integer(document, "port", (0, MAX_PORT), DEFAULT_PORT, mistakes)
    idle = _integer(document, "idle_seconds", (1, MAX_IDLE_SECONDS), DEFAULT_IDLE_SECONDS, mistakes)
    throttle = _throttle(document.get("throttle"), mistakes)
    entries = document.get("functions")
    if not isinstance(entries, list) or not entries:
        mistakes.append(f"functions must be a list of at least one function, got {entries!r:.100}")
        entries = []
    served: list[Served] = []
    found: list[Manifest] = []
    region = ""
    init_seconds = running.init_seconds if running is not None else 1
    for n, entry in enumerate(entries):
        where = f"functions[{n}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("folder"), str):
            mistakes.append(f"{where} must be an object with a folder, got {entry!r:.100}")
            continue
        _known(entry, {"folder", "environment", "concurrency"}, f"{where}.", mistakes)
        concurrency = _integer(
            entry, "concurrency", (1, MAX_CONCURRENCY), DEFAULT_CONCURRENCY, mistakes, f"{where}."
        )
        variables = entry.get("environment", {})
        if not isinstance(variables, dict) or not all(
            isinstance(value, str) for value in variables.values()
        ):
            mistakes.append(f"{where}.environment must be an object of texts")
            variables = {}
        region = _region(environ, variables, f" for {where}", mistakes)
        manifest = _manifest(Path(entry["folder"]), mistakes)
        if manifest is None:
            continue
        if manifest.http is None and manifest.authorizer is None:
            mistakes.append(f"{where} ({manifest.name}) has neither a route nor is an authorizer")
        if any(manifest.name == other.name for other in found):
            mistakes.append(f"{where} is {manifest.name} once more: expected each function once")
        found.append(manifest)
        function = _function(manifest, manifest.name, region, init_seconds, variables, environ)
        served.append(Served(function, concurrency))
    all_routes = tuple(route for m in found for route in _routes(m, m.name))
    mistakes += routes.mistakes(all_routes)
    deciding = [m for m in found if m.authorizer is not None]
    if len(deciding) > 1:
        names = ", ".join(m.name for m in deciding)
        mistakes.append(f"expected one authorizer, got {names}")
    if not deciding and (wanting := [r.key for r in all_routes if r.authorized]):
        mistakes.append(f"expected a function with trigger.authorizer, for {', '.join(wanting)}")
    if mistakes or running is None:
        raise ConfigurationError(str(path), mistakes)
    authorizer = None
    for m in deciding:
        if m.authorizer is not None:
            authorizer = AuthorizedBy(m.name, None, m.authorizer.cache_seconds)
    return Plan(
        host=str(host),
        port=port,
        api=Api(ACCOUNT_ID, region, API_ID),
        functions=tuple(served),
        routes=all_routes,
        authorizer=authorizer,
        throttle=throttle,
        # Any event for any function, to whoever reaches the port: not here.
        invoked=None,
        prewarmed=False,
        idle_seconds=idle,
        running=running,
    )


def _configuration(cls: type[Any], environ: Mapping[str, str], mistakes: list[str]) -> Any:
    try:
        return read(cls, environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
        return None


def _manifest(folder: Path, mistakes: list[str]) -> Manifest | None:
    if not (folder / "handler.py").is_file():
        mistakes.append(f"{folder} must hold a handler.py")
    try:
        return manifests.load(folder.resolve())
    except ConfigurationError as error:
        mistakes.append(str(error))
        return None


def _region(
    environ: Mapping[str, str], variables: Mapping[str, str], where: str, mistakes: list[str]
) -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := variables.get(name) or environ.get(name):
            return region
    mistakes.append(f"AWS_REGION is not set{where}")
    return ""


def _wants_session(manifest: Manifest) -> bool:
    return manifest.http is not None and manifest.http.authorization is Authorization.SESSION


def _routes(manifest: Manifest, name: str) -> tuple[Route, ...]:
    if manifest.http is None:
        return ()
    return (Route(manifest.http.method, manifest.http.path, name, _wants_session(manifest)),)


def _function(
    manifest: Manifest,
    name: str,
    region: str,
    init_seconds: int,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
) -> Function:
    regions = {
        key: region
        for key in ("AWS_REGION", "AWS_DEFAULT_REGION")
        if not variables.get(key) and not environ.get(key)
    }
    return Function(
        name=name,
        folder=manifest.folder,
        memory_mib=manifest.memory_mib,
        timeout_seconds=manifest.timeout_seconds,
        arn=f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}",
        init_seconds=init_seconds,
        variables={**regions, **variables},
    )


def _is_http_url(text: str) -> bool:
    try:
        address = urlsplit(text)
        port = address.port
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname) and port != 0


def _document(path: Path, mistakes: list[str]) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"expected a configuration file: {error}")
        return {}
    except (ValueError, RecursionError) as error:
        mistakes.append(f"expected JSON: {error}")
        return {}
    if not isinstance(document, dict):
        mistakes.append(f"expected an object, got {type(document).__name__}")
        return {}
    return document


def _known(document: Mapping[str, Any], names: set[str], where: str, mistakes: list[str]) -> None:
    for key in sorted(document.keys() - names):
        mistakes.append(f"{where}{key} is not a known field")


def _integer(
    document: Mapping[str, Any],
    key: str,
    allowed: tuple[int, int],
    default: int,
    mistakes: list[str],
    where: str = "",
) -> int:
    value = document.get(key, default)
    if type(value) is not int or not allowed[0] <= value <= allowed[1]:
        mistakes.append(
            f"{where}{key} must be a whole number {allowed[0]}..{allowed[1]}, got {value!r}"
        )
        return default
    return value


def _throttle(value: Any, mistakes: list[str]) -> Rate | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        mistakes.append(f"throttle must be an object or null, got {value!r:.100}")
        return None
    _known(value, {"requests_per_second", "burst"}, "throttle.", mistakes)
    rate = value.get("requests_per_second")
    burst = value.get("burst")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        mistakes.append(f"throttle.requests_per_second must be more than 0, got {rate!r}")
        return None
    if type(burst) is not int or burst < 1:
        mistakes.append(f"throttle.burst must be a whole number of at least 1, got {burst!r}")
        return None
    return Rate(float(rate), burst)
