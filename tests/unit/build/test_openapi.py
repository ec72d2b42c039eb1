"""The API's description is made from the code, and what is served is that."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.build import openapi
from services.platform import manifest
from services.platform.errors import ConfigurationError

IMAGES = Path(__file__).resolve().parents[3] / "images"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return openapi.document(IMAGES)


def test_what_is_served_is_what_the_code_says() -> None:
    assert openapi.DOCUMENT.read_text(encoding="utf-8") == openapi.text(), "run `make openapi`"


def test_every_route_is_described(made: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in made["paths"].items() for method in item}
    declared = {
        (route.method, route.path)
        for m in manifest.load_all(IMAGES)
        if m.http is not None
        for route in m.http.routes
    }
    assert described == {route for route in declared if route[0] != "OPTIONS"}


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    text = json.dumps(made)
    schemas = made["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
    assert {"Problem", "GatewayMessage"} <= named


def test_a_route_that_asks_for_a_session_says_so(made: dict[str, Any]) -> None:
    item = made["paths"]["/images/{id}"]["get"]
    assert item["security"] == [{"session": []}, {"apiKey": ["photos:read"]}]
    assert made["paths"]["/sessions/current"]["get"]["security"] == [{"session": []}]
    assert {"200", "304", "400", "401", "404", "503"} <= set(item["responses"])
    (parameter,) = [p for p in item["parameters"] if p["name"] == "id"]
    assert (parameter["in"], parameter["required"]) == ("path", True)


def test_a_manifest_that_disagrees_with_its_code_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "get-image"
    folder.mkdir()
    (folder / "handler.py").write_text((IMAGES / "get-image" / "handler.py").read_text())
    text = (IMAGES / "get-image" / "function.yaml").read_text()
    (folder / "function.yaml").write_text(
        text.replace("authorization: session", "authorization: none").replace("{id}", "{image}")
    )
    with pytest.raises(ConfigurationError) as caught:
        openapi.document(tmp_path)
    assert len(caught.value.mistakes) == 2


def test_document_every_pattern_has_a_description_for_people(made: dict[str, Any]) -> None:
    undescribed = []

    def walk(where: str, node: Any, outer: str | None = None) -> None:
        if isinstance(node, dict):
            description = node.get("description")
            if "pattern" in node and not (description or outer):
                undescribed.append(where)
            for key, value in node.items():
                walk(f"{where}/{key}", value, description if key == "schema" else None)
        elif isinstance(node, list):
            for number, value in enumerate(node):
                walk(f"{where}/{number}", value)

    walk("", made)
    assert not undescribed, "a person who sends a wrong value reads the description"
