"""run-operation on real tables and a real Postgres, and the commands that invoke it as on AWS."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from services.cli.main import main
from services.cli.options import ExitCode
from services.orders.products import Products
from tests.integration.accounts.conftest import Api
from tests.integration.accounts.support import (
    create_account,
    notice_queue,
    receive_notices,
    sign_in,
)
from tests.integration.accounts.test_second_factor import enable

OPERATOR = "arn:aws:iam::000000000000:user/ada"
PRODUCT = {
    "id": "matte-10x15",
    "name": "Print",
    "paper": "matte",
    "width_mm": 100,
    "height_mm": 150,
    "price_minor": 120,
    "currency": "EUR",
    "delivered": 5,
}


def request(operation: str, arguments: dict[str, Any], id_: str | None = None) -> dict[str, Any]:
    return {
        "id": id_ or str(uuid.uuid4()),
        "operator": OPERATOR,
        "operation": operation,
        "arguments": arguments,
    }


def on_hand(api: Api) -> int:
    database = api.fresh.database()
    try:
        return Products(database).stock_levels()["matte-10x15"].on_hand
    finally:
        database.close()


def test_repeated_offer_adds_to_the_stock_once(api: Api) -> None:
    event = request("offer-products", {"products": [PRODUCT]})
    answers = [api.invoke("run-operation", event) for _ in range(2)]
    assert answers == [{"result": ["matte-10x15"]}] * 2
    assert on_hand(api) == 5
    api.invoke("run-operation", request("offer-products", {"products": [PRODUCT]}))
    assert on_hand(api) == 10


def test_invalid_offer_is_refused_and_its_id_is_free_again(api: Api) -> None:
    event = request("offer-products", {"products": [PRODUCT, PRODUCT | {"price_minor": 0}]})
    assert "[1] price_minor" in api.invoke("run-operation", event)["refused"]
    corrected = request("offer-products", {"products": [PRODUCT]}, event["id"])
    assert api.invoke("run-operation", corrected) == {"result": ["matte-10x15"]}
    assert on_hand(api) == 5


def test_change_of_role_ends_sessions_and_is_logged_without_the_address(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    create_account(api)
    sign_in(api)
    capsys.readouterr()
    arguments = {"email": "Ada@example.com", "role": "administrator"}
    result = api.invoke("run-operation", request("change-role", arguments))["result"]
    assert result["role"] == "administrator"
    assert api.sessions.newest(result["id"], 10) == []
    output = capsys.readouterr().out
    lines = [json.loads(line) for line in output.splitlines()]
    (line,) = [line for line in lines if line.get("event") == "operation_completed"]
    assert (line["operator"], line["operation"]) == (OPERATOR, "change-role")
    assert "example.com" not in output


def test_reset_of_second_factor_ends_sessions_and_notifies_the_owner_once(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    user_id = create_account(api)["id"]
    enable(api, sign_in(api).document["token"])
    notices = notice_queue(api)
    capsys.readouterr()
    answers = [
        api.invoke("run-operation", request("reset-second-factor", {"email": "Ada@Example.com"}))
        for _ in range(2)
    ]
    document = {"id": user_id, "email": "ada@example.com"}
    assert answers == [{"result": document | {"removed": removed}} for removed in (True, False)]
    assert api.sessions.newest(user_id, 10) == []
    assert sign_in(api).status == 201
    with api.fresh.database().transaction() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM second_factors), count(*) FROM recovery_codes")
        assert cursor.fetchone() == (0, 0)
    output = capsys.readouterr().out
    done = [json.loads(line) for line in output.splitlines() if "operation_completed" in line]
    assert [(line["operator"], line["user_id"], line["removed"]) for line in done] == [
        (OPERATOR, user_id, True),
        (OPERATOR, user_id, False),
    ]
    (event,) = receive_notices(api, notices)
    assert (event["type"], event["data"]) == (
        "account.second_factor_reset",
        {"email": "ada@example.com"},
    )


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("change-role", {"email": "eve@example.com", "role": "administrator"}, "has no account"),
        ("change-role", {"email": "eve@example.com", "role": "owner"}, "role: expected"),
        ("reset-second-factor", {"email": "eve@example.com"}, "has no account"),
        ("reset-second-factor", {"user": "eve"}, "email: expected"),
        ("drop-tables", {}, "operation: expected"),
    ],
)
def test_request_that_cannot_be_done_is_refused(
    api: Api, operation: str, arguments: dict[str, Any], expected: str
) -> None:
    assert expected in api.invoke("run-operation", request(operation, arguments))["refused"]


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM orders", "UPDATE users SET email = 'x'", "DELETE FROM stock"]
)
def test_role_of_operations_has_no_other_rights(api: Api, statement: str) -> None:
    database = api.fresh.database(role="darkroom_operators")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), database.transaction() as cursor:
        cursor.execute(statement)
    database.close()


# -- the commands, with Lambda's Invoke API in front of the handlers


@pytest.fixture
def outputs(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Terraform's outputs of a lab whose functions are the handlers of `api`."""
    functions = ("run-operation", "migrate-database")
    arns = {f: f"arn:aws:lambda:us-east-1:000000000000:function:lab-{f}:live" for f in functions}

    class Invoke(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            (function,) = [f for f in functions if f"lab-{f}" in self.path]
            payload = json.dumps(api.invoke(function, json.loads(body))).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Invoke)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    values = {
        "region": "us-east-1",
        "api": None,
        "queues": {},
        "functions": {f: {"alias_arn": arn} for f, arn in arns.items()},
    }
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


def test_commands_with_outputs_run_operations_and_record_them(
    api: Api, outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_account(api)
    products = tmp_path / "products.yaml"
    products.write_text(json.dumps([PRODUCT]))
    where = ["--outputs", str(outputs)]
    assert main(["products", "offer", str(products), *where]) == ExitCode.DONE
    assert on_hand(api) == 5
    assert main(["users", "promote", "ada@example.com", *where]) == ExitCode.DONE
    assert "is administrator now" in capsys.readouterr().out
    assert main(["users", "reset-second-factor", "ada@example.com", *where]) == ExitCode.DONE
    assert "There is no second factor; ada@example.com" in capsys.readouterr().out
    assert main(["migrate", *where]) == ExitCode.DONE
    assert "applied nothing" in capsys.readouterr().out
    trail = (tmp_path / "state" / "darkroom" / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in trail] == [
        "offer-products",
        "change-role",
        "reset-second-factor",
    ]


def test_promote_of_unknown_account_with_outputs_fails(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["users", "promote", "eve@example.com", "--outputs", str(outputs)])
    assert code == ExitCode.USAGE
    assert "has no account" in capsys.readouterr().err
