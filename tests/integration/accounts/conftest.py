"""The account functions' handlers on real tables and a real Postgres."""

from __future__ import annotations

import importlib.util
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.local.postgres import Postgres
from services.local.provision import Database, Lab, provision
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.aws import clients
from services.platform.manifest import Feature, Reference, Resource
from tests.support.clock import Clock
from tests.support.declarations import lab_topology, manifests
from tests.support.emptying import empty
from tests.support.postgres import FreshDatabase, migrated_database


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture(scope="package")
def shared_database(postgres: Postgres, cloud: Emulator) -> Iterator[FreshDatabase]:
    made = migrated_database(postgres, LocalSession(cloud.endpoint))
    yield made
    made.drop()


@pytest.fixture
def fresh(shared_database: FreshDatabase) -> Iterator[FreshDatabase]:
    """A database with the lab's schema and no rows."""
    yield shared_database
    shared_database.empty()


@pytest.fixture
def users(fresh: FreshDatabase) -> Users:
    return Users(fresh.database())


@dataclass(frozen=True)
class Answered:
    """An HTTP response with its JSON decoded."""

    status: int
    document: Any
    headers: dict[str, str]


class Context:
    aws_request_id = "lambda-request"

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


@dataclass
class Api:
    """Calls the functions' handlers as API Gateway does, the authorizer first."""

    lab: Lab
    session: LocalSession
    fresh: FreshDatabase
    loaded: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    """Environment variables of all functions, in place of the lab's."""

    @property
    def sessions(self) -> SessionStore:
        return SessionStore(self.session.client("dynamodb"), self.lab.table("sessions"))

    def handler(self, function: str) -> Any:
        if function not in self.loaded:
            folder = PROJECT / "images" / function
            spec = importlib.util.spec_from_file_location(
                f"handler_{uuid.uuid4().hex}", folder / "handler.py"
            )
            assert spec
            assert spec.loader
            module = importlib.util.module_from_spec(spec)
            with pytest.MonkeyPatch.context() as environment:
                variables = self.lab.environment(manifest.load(folder)) | self.overrides
                for name, value in variables.items():
                    environment.setenv(name, value)
                environment.setenv("AWS_LAMBDA_FUNCTION_NAME", function)
                spec.loader.exec_module(module)
            self.loaded[function] = module
        return self.loaded[function].handler

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        return self.handler(function)(event, Context(function))

    def call(
        self,
        function: str,
        body: Any = None,
        token: str | None = None,
        query: dict[str, str] | None = None,
        address: str = "192.0.2.7",
        headers: dict[str, str] | None = None,
        path: dict[str, str] | None = None,
        route: str | None = None,
    ) -> Answered:
        """Calls a function; `route` is the key of one of several routes."""
        declared = manifest.load(PROJECT / "images" / function).http
        assert declared
        at = declared.only if route is None else {r.key: r for r in declared.routes}[route]
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": at.key,
            "rawPath": at.path,
            "headers": {"content-type": "application/json", **(headers or {})},
            "requestContext": {
                "requestId": "api-request",
                "http": {"method": at.method, "path": at.path, "sourceIp": address},
            },
            "isBase64Encoded": False,
            **({"body": json.dumps(body)} if body is not None else {}),
            **({"queryStringParameters": query} if query else {}),
            **({"pathParameters": path} if path else {}),
        }
        if token is not None:
            event["headers"]["authorization"] = f"Bearer {token}"
            event["requestContext"]["authorizer"] = {"lambda": self.authorize(token)}
        answer = self.invoke(function, event)
        text = answer.get("body")
        return Answered(answer["statusCode"], json.loads(text) if text else None, answer["headers"])

    def authorize(self, token: str) -> dict[str, str]:
        answer = self.invoke(
            "authorize-request",
            {
                "version": "2.0",
                "type": "REQUEST",
                "identitySource": [f"Bearer {token}"],
                "headers": {"authorization": f"Bearer {token}"},
                "requestContext": {"requestId": "api-request"},
            },
        )
        assert answer["isAuthorized"] is True
        context: dict[str, str] = answer["context"]
        assert all(isinstance(value, str) for value in context.values())
        return context


@pytest.fixture(scope="package")
def shared_lab(cloud: Emulator, postgres: Postgres) -> Lab:
    """The resources of the account functions, which all tests of the package share."""
    return provision(
        LocalSession(cloud.endpoint),
        lab_topology(),
        manifests(Feature.CUSTOMERS),
        prefix=f"t{uuid.uuid4().hex[:8]}",
        database=Database(postgres.url, postgres.username, postgres.password),
    )


@pytest.fixture
def api(
    cloud: Emulator, fresh: FreshDatabase, shared_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    """The shared lab, emptied, with a database of the test's own."""
    session = LocalSession(cloud.endpoint)
    empty(shared_lab, session, lab_topology())
    own = {
        Reference(Resource.SECRET, "database"): fresh.secret_arn,
        **{Reference(Resource.DATABASE, name): fresh.url for name in lab_topology().databases},
    }
    lab = replace(shared_lab, values={**shared_lab.values, **own})
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    clients.session.cache_clear()
    made = Api(lab, session, fresh)
    yield made
    for module in made.loaded.values():
        if hasattr(module, "database"):
            module.database.close()
    clients.client.cache_clear()
    clients.session.cache_clear()
