"""URLs, tokens and configuration of the database. Its behaviour is tested on a real server:
tests/integration/test_database.py."""

import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.auth
import botocore.session
import psycopg2
import pytest

from services.platform import database
from services.platform.configuration import read
from services.platform.database import (
    Address,
    Credentials,
    Database,
    DatabaseConfiguration,
    as_transient,
    iam_token,
    parse,
)
from services.platform.errors import ConfigurationError, TransientError

ADDRESS = Address("db.example.com", 5433, "lab", "anna", "verify-full")
URL = "postgresql://anna@db.example.com:5433/lab"


def configuration(**environment: str) -> DatabaseConfiguration:
    return read(DatabaseConfiguration, {"DATABASE_URL": URL, **environment})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, ADDRESS),
        (
            "postgresql://a%40b@[::1]/x?sslmode=disable",
            Address("::1", 5432, "x", "a@b", "disable"),
        ),
        (
            "postgres://anna@localhost/lab?sslmode=require",
            Address("localhost", 5432, "lab", "anna", "require"),
        ),
    ],
)
def test_a_url_says_where_and_who(url: str, expected: Address) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("placeholder", "another scheme"),
        ("mysql://anna@host/lab", "another scheme"),
        ("postgresql://anna:hunter2@host/lab", "passwords come from a secret"),
        ("postgresql://host/lab", "without a host, a user or a database"),
        ("postgresql://anna@host", "without a host, a user or a database"),
        ("postgresql://anna@host:port/lab", "no URL"),
        ("postgresql://anna@host/lab?sslmode=require&options=-cx", "one with options"),
    ],
)
def test_another_url_is_refused_and_not_repeated(url: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=mistake) as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("session_token", [None, "the/session+token="])
def test_an_iam_token_is_the_one_that_botocore_would_make(
    monkeypatch: pytest.MonkeyPatch, session_token: str | None
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    if session_token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session_token)
    now = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
    client = botocore.session.get_session().create_client("rds")
    expected = client.generate_db_auth_token(ADDRESS.host, ADDRESS.port, ADDRESS.username)
    token = iam_token(ADDRESS)
    assert token == expected
    parts = urlsplit(f"https://{token}")
    assert parts.netloc == "db.example.com:5433"
    query = parse_qs(parts.query)
    assert query["Action"] == ["connect"]
    assert query["DBUser"] == ["anna"]
    assert query["X-Amz-Expires"] == ["900"]
    assert "/eu-central-1/rds-db/aws4_request" in query["X-Amz-Credential"][0]


def test_without_a_secret_every_connection_has_a_token_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = iter(["first", "second"])
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(database, "iam_token", lambda _: next(tokens))

    def connect(**arguments: Any) -> Any:
        opened.append(arguments)
        raise psycopg2.OperationalError("no")

    monkeypatch.setattr(psycopg2, "connect", connect)
    made = Database(configuration())
    for _ in range(2):
        with pytest.raises(TransientError, match="cannot be reached: no"):
            made.connect()
    assert [a["password"] for a in opened] == ["first", "second"]
    # Without a word about it the server's certificate is checked, against public authorities.
    assert opened[0]["sslmode"] == "verify-full"
    assert Path(opened[0]["sslrootcert"]).is_file()
    # RDS Proxy refuses it.
    assert "options" not in opened[0]


def test_the_servers_authorities_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, Any]] = []

    class Connection:
        autocommit = False

    def connect(**arguments: Any) -> Connection:
        opened.append(arguments)
        return Connection()

    monkeypatch.setattr(psycopg2, "connect", connect)
    monkeypatch.setattr(database, "iam_token", lambda _: "token")
    named = configuration(DATABASE_CA_BUNDLE="/bundle.pem", AWS_LAMBDA_FUNCTION_NAME="f" * 100)
    Database(named).connect()
    assert opened[0]["sslrootcert"] == "/bundle.pem"
    assert opened[0]["application_name"] == "f" * 63
    plain = read(DatabaseConfiguration, {"DATABASE_URL": f"{URL}?sslmode=disable"})
    Database(plain).connect()
    assert "sslrootcert" not in opened[1]


def test_credentials_show_no_password() -> None:
    assert "hunter2" not in repr(Credentials("anna", "hunter2"))
    made = Database(configuration(), None, None, Credentials("anna", "hunter2"))
    assert "hunter2" not in repr(made)


def test_errors_of_others_are_no_outages() -> None:
    assert as_transient(ValueError("closed")) is None
    assert as_transient(psycopg2.ProgrammingError("no results to fetch")) is None
    assert as_transient(psycopg2.InterfaceError("connection already closed")) is not None
