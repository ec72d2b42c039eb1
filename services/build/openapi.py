"""Makes the API's description, OpenAPI 3.1, from the functions' manifests and their operations.

    python -m services.build.openapi          writes images/get-api-document/openapi.json
    python -m services.build.openapi --check  fails when the file there is another

Routes, authorisation and CORS stand in function.yaml; what an operation takes and answers stands in
the code that checks every request. Nothing is written down twice.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import msgspec
from msgspec import Meta

from services.platform import manifest
from services.platform.errors import ConfigurationError
from services.platform.functions.access import Access
from services.platform.functions.http import (
    JSON,
    PROBLEM_JSON,
    PROBLEM_PREFIX,
    Answer,
    HttpFunction,
    HttpFunctions,
    Operation,
)
from services.platform.manifest import Authorization, HttpRoute, HttpTrigger, Manifest, Resource
from services.platform.validation import FieldCode

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "images" / "get-api-document" / "openapi.json"
VERSION = "1.0.0"
_TEMPLATE = "#/components/schemas/{name}"
# A value for each kind of resource: enough to load a handler, not to work.
_PLACEHOLDERS = {
    Resource.API: "[]",
    Resource.LAB: "cloudwatch",
    Resource.RECIPES: "",  # not set: the defaults
    Resource.DATABASE: "postgresql://placeholder@localhost:5432/placeholder",
    Resource.SITE: "https://placeholder.example",
}
# Of the lab's values, those that are no text.
_SETTINGS = {"administrator-second-factor": "false"}
# The first part of a path to the group that its operations are shown in, in this order.
_TAGS = {
    "users": "Account", "password-resets": "Account", "sessions": "Account",
    "api-keys": "Account", "uploads": "Photos", "images": "Photos", "recipes": "Photos",
    "products": "Orders", "orders": "Orders", "unsubscribe": "E-mails",
    "payments": "Webhooks", "webhooks": "Webhooks", "operations": "Operator console",
    "openapi.json": "This document",
}  # fmt: skip
# What the gateway answers by itself, before or instead of the function:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_GATEWAY_ANSWERS = {
    401: "No token came with the request",
    413: "The body has more than 10 MB",
    429: "Too many requests at a time; slow down",
    431: "The request's headers are too large",
    500: "The function or the authorizer failed",
    503: "The function is at its limit, or took longer than 30 seconds",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Mistake] = []
    used_bytes: Annotated[int | None, Meta(description="of `storage-full`: bytes in use")] = None
    limit_bytes: Annotated[int | None, Meta(description="of `storage-full`: their limit")] = None


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake: the field ("" for the whole body), what is wrong with it (for programs), what
    was expected, what came."""

    field: Annotated[str, Meta(description="such as `lines[0].quantity`, from 0")]
    code: Annotated[str, Meta(extra_json_schema={"enum": [code.value for code in FieldCode]})]
    expected: str
    got: str


class GatewayMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway answers by itself."""

    message: str


@dataclass(frozen=True)
class _Route:
    """A route of a function, and what its code says about it."""

    declared: Manifest
    http: HttpTrigger
    at: HttpRoute
    operation: Operation


def placeholder_environment(declared: Manifest) -> dict[str, str]:
    """A value for each variable of the function: enough to load its handler, not to work."""
    environment = {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "placeholder",
        "AWS_SECRET_ACCESS_KEY": "placeholder",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in declared.environment.items():
        environment[name] = (
            value
            if isinstance(value, str)
            else _SETTINGS.get(value.name)
            or _PLACEHOLDERS.get(value.resource, f"placeholder-{value.name}")
        )
    return environment


def document(images: Path = PROJECT / "images") -> dict[str, Any]:
    """The description of the API that the functions under `images` make up.

    Raises ConfigurationError where a manifest and its code disagree.
    """
    routes = [
        _Route(declared, declared.http, route, found)
        for declared in manifest.load_all(images)
        if declared.http is not None
        for route, found in _operations(declared, declared.http)
        if route.method != "OPTIONS"
    ]
    mistakes = [mistake for route in routes for mistake in _disagreements(route)]
    if mistakes:
        raise ConfigurationError("the API's description", mistakes)
    models: list[Any] = [Problem, GatewayMessage]
    for route in routes:
        bodies = [answer.body for answer in route.operation.answers.values()]
        models += [model for model in (route.operation.body, *bodies) if model]
    _, components = msgspec.json.schema_components(dict.fromkeys(models), ref_template=_TEMPLATE)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda r: (r.at.path, r.at.method)):
        paths.setdefault(route.at.path, {})[route.at.method.lower()] = _path_item(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Darkroom",
            "version": VERSION,
            "description": "A photo lab: accounts, sessions, uploads, private photos. Every error "
            "of a function is a problem document (RFC 9457); times are UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(_TAGS.values())],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token that POST /sessions answers.",
                },
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key with the scope that the operation names.",
                },
            },
        },
    }


def _operations(declared: Manifest, http: HttpTrigger) -> Iterator[tuple[HttpRoute, Operation]]:
    """The routes of a function and their operations. Raises ConfigurationError where the manifest
    has other routes than the handler."""
    path = declared.folder / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_of_{declared.name}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(declared.name, [f"expected a module {path}"])
    module = importlib.util.module_from_spec(spec)
    with _environment(placeholder_environment(declared)):
        spec.loader.exec_module(module)
    function = module.handler
    if isinstance(function, HttpFunction):
        yield http.only, function.operation
        return
    if not isinstance(function, HttpFunctions):
        raise ConfigurationError(
            declared.name, [f"expected handler.py to call http_function, got {function!r}"]
        )
    keys = [route.key for route in http.routes]
    if sorted(keys) != sorted(function.functions):
        raise ConfigurationError(
            declared.name, [f"expected the routes {keys}, got {[*function.functions]}"]
        )
    for route in http.routes:
        yield route, function.functions[route.key].operation


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    with patch.dict(os.environ, variables):
        yield


def _disagreements(route: _Route) -> Iterator[str]:
    declared, http, operation = route.declared, route.http, route.operation
    open_in_code = operation.access is Access.ANYONE
    if open_in_code != (http.authorization is Authorization.NONE):
        yield (
            f"{declared.name}: function.yaml says authorization {http.authorization.value}, its "
            f"operation access {operation.access.value}"
        )
    known = {f.encode_name for f in _fields(operation)}
    if missing := set(route.at.path_parameters) - known:
        yield f"{declared.name}: the operation's parameters lack {sorted(missing)} of the path"


def _path_item(route: _Route) -> dict[str, Any]:
    http, operation = route.http, route.operation
    item: dict[str, Any] = {
        "operationId": operation.name or route.declared.name,
        "tags": [_tag(route.declared, route.at)],
        "summary": operation.summary,
        "responses": _responses(http, operation),
    }
    if operation.description:
        item["description"] = operation.description
    if http.authorization is Authorization.SESSION:
        item["security"] = [{"session": []}]
        if operation.scope is not None:
            item["security"].append({"apiKey": [operation.scope.value]})
    if operation.access is Access.ADMINISTRATOR:
        item["description"] = f"{operation.description} For administrators.".strip()
    parameters = [*_parameters(route.at, operation)]
    if parameters:
        item["parameters"] = parameters
    if operation.body is not None:
        item["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": _schema(operation.body)}},
        }
    if operation.raw_body:
        item["requestBody"] = {"required": True, "content": {JSON: {"schema": {}}}}
    return item


def _tag(declared: Manifest, route: HttpRoute) -> str:
    """The group of a route. Raises ConfigurationError for a path that has none."""
    first = route.path.split("/")[1]
    if first not in _TAGS:
        raise ConfigurationError(
            declared.name, [f"expected a tag for /{first} in services/build/openapi.py"]
        )
    return _TAGS[first]


def _fields(operation: Operation) -> tuple[msgspec.structs.FieldInfo, ...]:
    return () if operation.parameters is None else msgspec.structs.fields(operation.parameters)


def _parameters(route: HttpRoute, operation: Operation) -> Iterator[dict[str, Any]]:
    for field in _fields(operation):
        in_path = field.encode_name in route.path_parameters
        schema = _as_in_a_url(msgspec.json.schema(field.type))
        yield {
            "name": field.encode_name,
            "in": "path" if in_path else "query",
            "required": in_path or field.required,
            "description": schema.pop("description", ""),
            "schema": schema
            | ({"default": field.default} if isinstance(field.default, int | str) else {}),
        }
    for name, meaning in operation.request_headers.items():
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": meaning,
            "schema": {"type": "string"},
        }


def _as_in_a_url(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be null is one that may be left out: a URL cannot express null."""
    kinds: list[dict[str, Any]] = [
        kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}
    ]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return (kinds[0] | rest) if len(kinds) == 1 else schema


def _responses(http: HttpTrigger, operation: Operation) -> dict[str, Any]:
    responses = {str(status): _response(answer) for status, answer in operation.answers.items()}
    by_status: dict[int, list[Any]] = {}
    for problem in operation.all_problems:
        by_status.setdefault(problem.status, []).append(problem)
    gateways = dict(_GATEWAY_ANSWERS)
    if http.authorization is Authorization.NONE:
        gateways.pop(401)
    for status in sorted({*by_status, *gateways}):
        problems = by_status.get(status, [])
        descriptions = [
            f"`{PROBLEM_PREFIX}{problem.slug}`: {problem.title}" for problem in problems
        ]
        content: dict[str, Any] = {}
        if problems:
            content[PROBLEM_JSON] = {"schema": _schema(Problem)}
        if status in gateways:
            descriptions.append(f"{gateways[status]} (the gateway)")
            content[JSON] = {"schema": _schema(GatewayMessage)}
        responses[str(status)] = {"description": ". ".join(descriptions), "content": content}
        if status == 503:
            responses[str(status)]["headers"] = {"Retry-After": _header("seconds", "integer")}
    return responses


def _response(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    if answer.body is not None:
        response["content"] = {JSON: {"schema": _schema(answer.body)}}
    if answer.is_page:
        response["content"] = {"text/html": {"schema": {"type": "string"}}}
    if answer.headers:
        response["headers"] = {n: _header(meaning) for n, meaning in answer.headers.items()}
    return response


def _header(meaning: str, kind: str = "string") -> dict[str, Any]:
    return {"description": meaning, "schema": {"type": kind}}


def _schema(model: Any) -> dict[str, Any]:
    """The schema of a model: a reference to the components, where it is a Struct."""
    (schema,), _ = msgspec.json.schema_components([model], ref_template=_TEMPLATE)
    return dict(schema)


def text() -> str:
    """The document as the file has it."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.build.openapi")
    parser.add_argument("--check", action="store_true", help="fail when the file is another")
    options = parser.parse_args(arguments)
    made = text()
    if not options.check:
        DOCUMENT.write_text(made, encoding="utf-8")
        return 0
    if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == made:
        return 0
    sys.stderr.write(f"{DOCUMENT} is not what the code says; run `make openapi`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
