"""The reference page of the HTTP API, from the OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_text import paragraph, table

PROJECT = Path(__file__).resolve().parents[2]


def render_api() -> str:
    path = PROJECT / "images" / "get-api-document" / "openapi.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    parts = [
        "# HTTP API\n\n",
        "Generated from the OpenAPI 3.1 document that `GET /openapi.json` serves.\n\n",
        document["info"]["description"] + "\n\n",
    ]
    for route, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(f"{method.upper()} {route}", operation))
    parts.append("## Schemas\n\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f"### {name}\n\n{paragraph(schema.get('description'))}\n\n")
        parts.append(_properties(schema))
    return "".join(parts)


def _operation(title: str, operation: dict[str, Any]) -> str:
    text = f"## {title}\n\n{operation.get('summary', '')}. Function: `{operation['operationId']}`."
    text += " Requires a session.\n\n" if operation.get("security") else "\n\n"
    if operation.get("description"):
        text += operation["description"] + "\n\n"
    if parameters := operation.get("parameters"):
        text += table(
            ("parameter", "in", "type", "meaning"),
            (
                (
                    f"`{p['name']}`" + (" (required)" if p.get("required") else ""),
                    p["in"],
                    schema_text(p["schema"]),
                    p.get("description", ""),
                )
                for p in parameters
            ),
        )
    if body := operation.get("requestBody"):
        kinds = (
            f"`{media}`: {schema_text(content.get('schema', {}))}"
            for media, content in body["content"].items()
        )
        text += f"Body: {'; '.join(kinds)}\n\n"
    rows = []
    for status, answer in operation["responses"].items():
        schemas = dict.fromkeys(
            schema_text(content.get("schema", {})) for content in answer.get("content", {}).values()
        )
        rows.append((status, answer.get("description", ""), ", ".join(schemas)))
    return text + table(("status", "meaning", "body"), rows)


def _properties(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (
            f"`{name}`" + ("" if name in required else " (optional)"),
            schema_text(value),
            value.get("description", ""),
        )
        for name, value in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "meaning"), rows) if rows else schema_text(schema) + "\n\n"


def schema_text(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words, with a link to a named one."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(schema_text(choice) for choice in choices)
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {schema_text(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("minLength", "length at least"),
            ("maxLength", "length at most"),
            ("default", "default"),
        )
        if key in schema
    ]
    return ", ".join([schema.get("format", kind), *limits])
