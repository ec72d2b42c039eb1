"""Images of HTTP functions as servers, with the authorizer in a container of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from services.accounts.model import Role, User
from services.accounts.sessions import SessionStore
from tests.containers.lab import ContainerLab
from tests.support.waiting import HTTP_SECONDS, scaled


def get(url: str, token: str | None) -> tuple[int, dict[str, object]]:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        with urlopen(Request(url, headers=headers), timeout=scaled(HTTP_SECONDS)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_route_uses_the_authorizer_of_another_container(lab: ContainerLab) -> None:
    lab.served("authorize-request")
    url = lab.served("get-session", WORKER_AUTHORIZER_URL="http://authorize-request:8080")
    store = SessionStore(lab.cloud.client("dynamodb"), lab.made.table("sessions"))
    token, _ = store.open(
        User("7", "anna@darkroom.example", "Anna", Role.CUSTOMER, datetime.now(UTC))
    )

    status, session = get(f"{url}/sessions/current", token)
    assert (status, session["user"]["email"]) == (200, "anna@darkroom.example")  # type: ignore[index]
    assert get(f"{url}/sessions/current", None) == (401, {"message": "Unauthorized"})
    status, problem = get(f"{url}/sessions/current", token[:-2] + "xx")
    assert (status, problem["type"]) == (401, "urn:darkroom:problem:not-signed-in")
    assert get(f"{url}/images", token)[0] == 404


def test_api_document_is_served_by_its_image(lab: ContainerLab) -> None:
    url = lab.served("get-api-document")
    status, document = get(f"{url}/openapi.json", None)
    assert (status, document["openapi"]) == (200, "3.1.0")
