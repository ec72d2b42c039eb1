"""MkDocs hook: adds the reference pages, which are generated from the code at each build."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer
from http_api import render_api
from markdown_text import paragraph, table
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import services
from services.build.log_events import log_events
from services.build.openapi import placeholder_environment
from services.platform import manifest
from services.platform.configuration import Variable
from services.platform.metrics import NAMESPACE, Metric
from services.runtime.metrics import prometheus_name

PROJECT = Path(__file__).resolve().parents[2]
GENERATED = "Generated from the code by `make docs`.\n\n"


def on_files(files: Files, /, *, config: MkDocsConfig) -> Files:
    """Adds each generated page."""
    for name, render in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=render()))
    return files


# -- the command


def render_cli() -> str:
    main = importlib.import_module("services.cli.main")
    body = "".join(_click(typer.main.get_command(main.application()), "darkroom"))
    return f"# The darkroom command\n\n{GENERATED}{paragraph(main.__doc__)}\n\n{body}"


def _click(command: Any, path: str) -> Iterator[str]:
    """One section for each command of the tree that does something."""
    commands: dict[str, Any] = getattr(command, "commands", {})
    if not commands:
        yield f"## {path}\n\n{paragraph(command.help)}\n\n"
        context = command.context_class(command, info_name=path)
        rows = []
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None:
                rows.append((f"`{record[0]}`", record[1]))
            elif parameter.param_type_name == "argument":
                rows.append((f"`{parameter.make_metavar(context)}`", parameter.help or ""))
        yield table(("argument or option", "meaning"), rows)
    for name, inner in commands.items():
        yield from _click(inner, f"{path} {name}")


# -- environment variables


VARIABLE_SECTIONS = {
    "Shared by functions": ("platform", "mail", "orders", "payments", "catalog", "accounts"),
    "Worker and gateway": ("runtime", "worker", "gateway"),
}


def render_variables() -> str:
    parts = [
        "# Environment variables\n\n",
        GENERATED,
        "Each table is one group that is read together; every mistake in it is reported at once. "
        "Empty text counts as not set. `python -m services.worker --help` prints those of the "
        "worker.\n\n",
    ]
    handlers = "".join(_handler_section(f) for f in manifest.load_all(PROJECT / "images"))
    parts.append(f"## One function\n\nSet in `environment` of its `function.yaml`.\n\n{handlers}")
    for title, packages in (
        (
            "Shared by functions",
            ("platform", "mail", "orders", "payments", "catalog", "imaging", "accounts"),
        ),
        ("Worker and gateway", ("runtime", "worker", "gateway")),
    ):
        parts.append(f"## {title}\n\n")
        for package in packages:
            for cls in configurations(package):
                summary = paragraph(cls.__doc__)
                parts.append(f"### {cls.__name__}\n\n`{cls.__module__}`. {summary}\n\n")
                parts.append(
                    table(
                        ("variable", "type", "default", "meaning"),
                        (_variable_row(cls, name, declared) for name, declared in _own(cls)),
                    )
                )
    return "".join(parts)


def _handler_section(function: manifest.Manifest) -> str:
    """The variables that the function's own handler declares, besides those of resources."""
    path = function.folder / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_of_{function.name}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with patch.dict(os.environ, placeholder_environment(function)):
        spec.loader.exec_module(module)
    rows = [
        _variable_row(cls, name, declared)
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ == spec.name
        for name, declared in _own(cls)
        if not isinstance(function.environment.get(declared.name), manifest.Reference)
    ]
    if not rows:
        return ""
    return f"### {function.name}\n\n" + table(("variable", "type", "default", "meaning"), rows)


def configurations(package: str) -> Iterator[type[Any]]:
    """Every dataclass of the package that is read from environment variables."""
    root = importlib.import_module(f"{services.__name__}.{package}")
    names = [root.__name__]
    names += [m.name for m in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")]
    for name in names:
        if name.endswith("__main__") or ".versions" in name:
            continue
        module = importlib.import_module(name)
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == name and any(_own(cls)):
                yield cls


def _own(cls: type[Any]) -> Iterator[tuple[str, Variable]]:
    """The class's fields that are variables, except those of a base class."""
    if not dataclasses.is_dataclass(cls):
        return
    inherited = {
        item.name
        for base in cls.__mro__[1:]
        if dataclasses.is_dataclass(base)
        for item in dataclasses.fields(base)
    }
    for item in dataclasses.fields(cls):
        if "variable" in item.metadata and item.name not in inherited:
            yield item.name, item.metadata["variable"]


def _variable_row(cls: type[Any], name: str, declared: Variable) -> tuple[str, ...]:
    kind = type_text(typing.get_type_hints(cls)[name])
    low, high = declared.minimum, declared.maximum
    if low is not None and high is not None:
        kind += f", {low:g} to {high:g}"
    elif low is not None:
        kind += f", at least {low:g}"
    elif high is not None:
        kind += f", at most {high:g}"
    if isinstance(declared.default, type):
        default = "required"
    elif declared.default in (None, "", ()):
        default = "not set"
    else:
        values = declared.default if isinstance(declared.default, tuple) else (declared.default,)
        default = f"`{','.join(str(value) for value in values)}`"
    return f"`{declared.name}`", kind, default, declared.help


def type_text(kind: Any) -> str:
    """A type as a reader sees it: choices for an enum, `list of ...` for a tuple."""
    arguments = [a for a in typing.get_args(kind) if a not in (type(None), ...)]
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {type_text(arguments[0])}"
    if origin is not None and arguments:
        return f"mapping to {type_text(arguments[-1])}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f"`{member.value}`" for member in kind)
    words = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
    name = getattr(kind, "__name__", str(kind))
    return words.get(name, name)


# -- manifests


RESOURCES = ", ".join(f"`{resource.value}`" for resource in manifest.Resource)
REFERENCE = "one resource: its kind as the key, its logical name as the value"
# Keys of the YAML file that differ from the field that holds them.
YAML_KEYS: dict[tuple[type[Any], str], tuple[str, ...]] = {
    (manifest.Manifest, "name"): ("", "", ""),
    (manifest.Manifest, "folder"): ("", "", ""),
    (manifest.Manifest, "queue"): ("`trigger`", "at most one of `queue`, `http`, `authorizer`", ""),
    (manifest.Manifest, "http"): ("`trigger`", "at most one of `queue`, `http`, `authorizer`", ""),
    (manifest.Manifest, "authorizer"): (
        "`trigger`",
        "at most one of `queue`, `http`, `authorizer`",
        "",
    ),
    (manifest.Manifest, "grants"): ("`grants`", "list, see below", ""),
    (manifest.Manifest, "budgets"): ("`budgets`", "see below", ""),
    (manifest.Manifest, "environment"): (
        "`environment`",
        "variable names; each value is text or a reference to a resource",
        "",
    ),
    (manifest.QueueTrigger, "sources"): ("`sources`", "list, see below", ""),
    (manifest.QueueTrigger, "schedule"): (
        "`sources[].schedule`",
        "`rate(...)` or `cron(...)`, at most one",
        "",
    ),
    (manifest.Source, "reference"): ("`bucket`, `topic` or `workflow`", REFERENCE, ""),
    (manifest.HttpTrigger, "routes"): (
        "`route` or `routes`",
        "`METHOD /path`, or a list of them",
        "",
    ),
    (manifest.HttpTrigger, "cors"): ("`cors`", "see below; optional", ""),
    (manifest.Cors, "site"): ("`site`", "a site of the topology", ""),
    (manifest.Grant, "reference"): (RESOURCES, REFERENCE, ""),
}


def render_manifest() -> str:
    example = (PROJECT / "images" / "process-image" / "function.yaml").read_text(encoding="utf-8")
    parts = [
        "# function.yaml\n\n",
        GENERATED,
        "`images/<function>/function.yaml` defines one function for Terraform, the image build, "
        "the worker and the embedded lab. Names of buckets, tables, topics and other resources "
        "are those of `terraform/lab/topology.yaml`. Unknown keys are refused, and all mistakes "
        "of a file are reported together.\n\n",
        f"```yaml\n{example}```\n\n",
    ]
    sections: list[tuple[str, type[Any]]] = [
        ("Top level", manifest.Manifest),
        ("trigger.queue", manifest.QueueTrigger),
        ("trigger.queue.sources[]", manifest.Source),
        ("trigger.http", manifest.HttpTrigger),
        ("trigger.http.cors", manifest.Cors),
        ("trigger.authorizer", manifest.AuthorizerTrigger),
        ("grants[]", manifest.Grant),
        ("budgets", manifest.Budgets),
    ]
    fields = {(cls, item.name) for _, cls in sections for item in dataclasses.fields(cls)}
    if unknown := YAML_KEYS.keys() - fields:
        raise PluginError(f"no such fields of a manifest: {unknown}")
    for title, cls in sections:
        hints = typing.get_type_hints(cls)
        parts.append(f"## {title}\n\n{paragraph(cls.__doc__)}\n\n")
        rows: dict[tuple[str, ...], None] = {}
        for item in dataclasses.fields(cls):
            special = YAML_KEYS.get((cls, item.name))
            rows[special or (f"`{item.name}`", type_text(hints[item.name]), _range(item.name))] = (
                None
            )
        parts.append(table(("key", "type", "range"), (row for row in rows if row[0])))
    features = ", ".join(f"`{feature.value}`" for feature in manifest.Feature)
    parts.append(f"## Features\n\n{paragraph(manifest.Feature.__doc__)} They are {features}.\n")
    return "".join(parts)


def _range(name: str) -> str:
    bounds = getattr(manifest, f"{name.upper()}_RANGE", None)
    return f"{bounds[0]:,} to {bounds[1]:,}" if bounds else ""


def render_functions() -> str:
    functions = manifest.load_all(PROJECT / "images")
    text = f"# Functions\n\n{GENERATED}The {len(functions)} folders under `images/`.\n\n"
    for feature in manifest.Feature:
        rows = (
            (
                f"`{function.name}`",
                function.description,
                _trigger(function),
                f"{function.memory_mib}",
                f"{function.timeout_seconds}",
            )
            for function in functions
            if function.feature is feature
        )
        text += f"## {feature.value}\n\n"
        text += table(("function", "purpose", "trigger", "memory, MiB", "timeout, s"), rows)
    return text


def _trigger(function: manifest.Manifest) -> str:
    if function.http is not None:
        return ", ".join(f"`{route.key}`" for route in function.http.routes)
    if function.authorizer is not None:
        return "authorizer"
    if function.queue is not None:
        sources = [
            f"{s.reference.resource.value} `{s.reference.name}`" for s in function.queue.sources
        ]
        if function.queue.schedule:
            sources.append(f"`{function.queue.schedule}`")
        return "queue: " + ", ".join(sources) if sources else "queue"
    return "invoked directly"


# -- log events


def render_log_events() -> str:
    events = log_events(PROJECT).items()
    rows = [(f"`{name}`", ", ".join(f"`{m}`" for m in modules)) for name, modules in events]
    return (
        f"# Log events\n\n{GENERATED}[Log lines](logs.md) has the keys, and what the events of "
        f"daily operation mean.\n\n{table(('event', 'logged by, in services'), rows)}"
    )


# -- metrics


def render_metrics() -> str:
    rows = [
        (
            f"`{metric.value.name}`",
            metric.value.unit.value,
            ", ".join(f"`{name}`: {values}" for name, values in metric.value.dimensions.items()),
            metric.value.meaning,
            f"`{prometheus_name(metric.value)}`",
        )
        for metric in Metric
    ]
    return (
        f"# Metrics\n\n{GENERATED}Functions write metrics as log lines in CloudWatch's embedded "
        f"metric format, from which CloudWatch extracts them into the namespace `{NAMESPACE}`. "
        "Every metric has the dimension `function` besides those in the table: the function's name "
        "on Lambda, or the manifest's in a worker. Terraform's dashboard and alarms use these "
        "names.\n\n"
        f"{table(('metric', 'unit', 'dimensions', 'meaning', 'for Prometheus'), rows)}"
        "## For Prometheus\n\n"
        "Workers and the gateway serve the same metrics, since their start, in Prometheus' text "
        "format; times are histograms in seconds. They add `darkroom_healthy`, and for each "
        "function `darkroom_environments`, `darkroom_environments_busy`, "
        "`darkroom_invocations_total`, `darkroom_invocation_failures_total` and "
        "`darkroom_failed_starts`.\n\n"
        "- A worker: `/metrics` and, for people and load balancers, `/health` (200 or 503) on "
        "`WORKER_METRICS_PORT` of `WORKER_METRICS_HOST`.\n"
        "- The gateway: `/_darkroom/metrics` and `/_darkroom/health` beside the routes. Its health "
        "is `failing` while a function cannot start, and `degraded` after a function's own 503, "
        "which says that a service does not answer, until its next success or for a minute.\n"
        "- The embedded lab: `darkroom status` prints the addresses.\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "cli": render_cli,
    "variables": render_variables,
    "api": render_api,
    "manifest": render_manifest,
    "functions": render_functions,
    "log-events": render_log_events,
    "metrics": render_metrics,
}
