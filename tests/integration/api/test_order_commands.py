"""`darkroom order`, `orders` and `products` with wrong input: a reason and an exit code."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from services.cli.main import main
from services.cli.orders import EXAMPLE_ADDRESS
from services.client import tokens
from services.local.state import LabState
from services.orders.products import Products
from tests.integration.api.conftest import Customer
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, scaled

PRODUCT = "print-10x15-glossy"
NO_ORDER = str(uuid.UUID(int=0))
DONE, FAILED, USAGE, ENDED_OTHERWISE = 0, 1, 2, 3


@dataclass(frozen=True)
class Terminal:
    """The command line of a signed-in customer with one photo."""

    api: str
    image_id: str
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, api: str | None = None) -> tuple[int, str, str]:
        """Runs a command and returns exit code, stdout and stderr."""
        self.capsys.readouterr()
        code = main([*arguments, "--api", self.api if api is None else api])
        out, err = self.capsys.readouterr()
        return int(code), out, err

    def refused(self, *arguments: str, api: str | None = None) -> tuple[int, str]:
        """Runs a command that must fail; returns its exit code and its one-line message."""
        code, out, err = self.run(*arguments, api=api)
        assert out == ""
        assert err.startswith("darkroom: "), err
        assert len(err.splitlines()) == 1
        return code, err


@pytest.fixture(scope="module")
def photographer(
    new_customer: Callable[..., Customer], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Customer, str]:
    customer = new_customer()
    path = tmp_path_factory.mktemp("photo") / "mine.jpg"
    path.write_bytes(jpeg(scene(1300, 1900)))
    return customer, str(customer.api.developed(customer.api.upload(path))["id"])


@pytest.fixture
def terminal(
    lab: LabState,
    photographer: tuple[Customer, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Terminal:
    customer, image_id = photographer
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("services.cli.connection.lab.running", lambda: lab)
    tokens.keep(customer.api.url, customer.api.token, tokens.default_file())
    return Terminal(customer.api.url, image_id, capsys)


@pytest.mark.parametrize(
    "prints",
    [
        "",
        ":",
        "IMAGE",
        "IMAGE:",
        f"IMAGE:{PRODUCT}:",
        f"IMAGE:{PRODUCT}:two",
        f"IMAGE:{PRODUCT}:-1",
        f"IMAGE:{PRODUCT}:1.5",
        f"IMAGE:{PRODUCT}:²",
        f"IMAGE:{PRODUCT}:٣",
        f"IMAGE:{PRODUCT}:1:1",
        f"IMAGE:{PRODUCT}:" + "9" * 5000,
        f"IMAGE:{PRODUCT}:0",
        f"IMAGE:{PRODUCT}:101",
        "IMAGE:never-sold",
        "IMAGE:No Product",
        "IMAGE:" + "p" * 70_000,
        f":{PRODUCT}",
        f"zzz:{PRODUCT}",
    ],
)
def test_order_invalid_prints_are_refused(terminal: Terminal, prints: str) -> None:
    prints = prints.replace("IMAGE", terminal.image_id)
    if prints.endswith(f"{PRODUCT}:"):  # one print
        assert terminal.run("order", prints, "--pay", "sandbox-unavailable", "--no-wait")[0] == DONE
        return
    code, message = terminal.refused("order", prints, "--no-wait")
    assert code == USAGE
    assert "expected" in message.lower()


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "nowhere"),
        ("--to", "Anna, Hafenstr. 1, 20457, Hamburg, Germany"),
        ("--to", ",,,,"),
        ("--to", "A\0, Hafenstr. 1, 20457, Hamburg, DE"),
        ("--pay", ""),
        ("--pay", "a card"),
        ("--key", ""),
        ("--key", "k" * 256),
        ("--key", "ключ"),
        ("--key", "a\r\nx-evil: 1"),
    ],
)
def test_order_invalid_options_are_refused(terminal: Terminal, options: tuple[str, str]) -> None:
    code, message = terminal.refused(
        "order", f"{terminal.image_id}:{PRODUCT}", "--no-wait", *options
    )
    assert code == USAGE
    assert "expected" in message.lower()


@pytest.mark.parametrize(
    ("given", "missing"),
    [((), "--to"), (("--to", EXAMPLE_ADDRESS), "--pay"), (("--pay", "sandbox-ok"), "--to")],
)
def test_order_away_from_an_embedded_lab_has_no_defaults(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], missing: str
) -> None:
    monkeypatch.setattr("services.cli.connection.lab.running", lambda: None)
    code, message = terminal.refused("order", f"{terminal.image_id}:{PRODUCT}", *given)
    assert code == USAGE
    assert f"expected {missing}" in message


def test_order_with_line2_and_prefixes_keeps_the_whole_address(terminal: Terminal) -> None:
    code, out, _ = terminal.run(
        "order", f"{terminal.image_id[:6]}:print-10", "--line2", "2nd floor", "--no-wait",
        "--pay", "sandbox-unavailable", "--json",
    )  # fmt: skip
    assert code == DONE
    order = json.loads(out)
    assert order["delivery"]["line2"] == "2nd floor"
    code, out, _ = terminal.run("orders", "show", order["id"][:10], "--json")
    assert (code, json.loads(out)["id"]) == (DONE, order["id"])
    assert terminal.run("orders", "cancel", order["id"][:10])[0] == DONE


def test_order_repeated_key_orders_once(terminal: Terminal) -> None:
    key = uuid.uuid4().hex
    command = ("order", f"{terminal.image_id[:8]}:{PRODUCT}", "--pay", "sandbox-unavailable")
    options = ("--key", key, "--no-wait", "--json")
    ids = [json.loads(terminal.run(*command, *options)[1])["id"] for _ in range(2)]
    assert ids[0] == ids[1]
    code, message = terminal.refused(
        "order", f"{terminal.image_id}:{PRODUCT}:2", "--key", key, "--no-wait"
    )
    assert (code, "used for another order" in message) == (USAGE, True)
    assert terminal.run("orders", "cancel", ids[0])[0] == DONE


def test_order_without_prints_has_its_own_exit_code(terminal: Terminal) -> None:
    code, out, err = terminal.run(
        "order", f"{terminal.image_id}:{PRODUCT}", "--pay", "sandbox-declined"
    )
    assert code == ENDED_OTHERWISE
    assert "payment_declined" in out
    assert "The payment was declined." in err


@pytest.mark.parametrize(
    ("action", "order_id"),
    [
        *(("cancel", order_id) for order_id in (NO_ORDER, "", "a/b")),
        *(("show", order_id) for order_id in (NO_ORDER, "x", "", "..", "../products", "#", "a/b")),
        *(("show", order_id) for order_id in ("?limit=1", "a\nb", "é", "%", "x" * 70_000)),
    ],
)
def test_orders_unknown_id_is_refused(terminal: Terminal, action: str, order_id: str) -> None:
    code, _message = terminal.refused("orders", action, order_id)
    assert code == USAGE


@pytest.mark.parametrize(
    ("api", "code"),
    [
        ("nonsense", USAGE),
        ("ftp://127.0.0.1", USAGE),
        ("http://a:b", USAGE),
        ("http://127.0.0.1:1", FAILED),
        ("", USAGE),
    ],
)
@pytest.mark.parametrize("command", ["orders", "products"])
def test_api_address_invalid_is_refused(
    terminal: Terminal, api: str, code: int, command: str
) -> None:
    assert terminal.refused(command, "list", api=api)[0] == code


@pytest.fixture
def web_site() -> Iterator[str]:
    """A server that is not Darkroom and answers every path with a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = b"[]" if self.path.startswith("/products") else b"<h1>Welcome</h1>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("command", ["orders", "products"])
def test_api_address_of_another_server_is_refused(
    terminal: Terminal, web_site: str, command: str
) -> None:
    code, message = terminal.refused(command, "list", api=web_site)
    assert code == USAGE
    assert f"expected Darkroom's API at {web_site}" in message


@pytest.fixture
def losing_relay(terminal: Terminal) -> Iterator[str]:
    """A relay to the API that loses the response to the first order."""
    lost: list[str] = []

    class Way(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            names = ("authorization", "content-type", "idempotency-key")
            answer = httpx.request(
                self.command,
                terminal.api + self.path,
                content=body,
                headers={name: self.headers[name] for name in names if name in self.headers},
                timeout=scaled(HTTP_SECONDS),
            )
            if self.command == "POST" and not lost:
                lost.append(answer.json()["id"])
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Way) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        tokens.keep(url, tokens.token(terminal.api, tokens.default_file()), tokens.default_file())
        yield url
        server.shutdown()
    assert lost, "no answer was lost"


def test_order_lost_response_orders_once(terminal: Terminal, losing_relay: str) -> None:
    def orders() -> list[str]:
        return [order["id"] for order in json.loads(terminal.run("orders", "list", "--json")[1])]

    before = orders()
    code, out, _ = terminal.run(
        "order", f"{terminal.image_id}:{PRODUCT}", "--pay", "sandbox-unavailable", "--no-wait",
        "--json", "--to", EXAMPLE_ADDRESS, api=losing_relay,
    )  # fmt: skip
    assert code == DONE
    assert orders() == [json.loads(out)["id"], *before]


def test_orders_without_session_are_refused(terminal: Terminal) -> None:
    tokens.keep(terminal.api, None, tokens.default_file())
    code, message = terminal.refused("orders", "list")
    assert (code, "Unauthorized" in message) == (USAGE, True)
    code, out, _ = terminal.run("products", "list")
    assert (code, PRODUCT in out) == (DONE, True)


# -- products offer


@pytest.fixture
def at_the_database(lab: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.database.lab.running", lambda: lab)


def offer(terminal: Terminal, path: Path) -> tuple[int, str, str]:
    terminal.capsys.readouterr()
    code = main(["products", "offer", str(path)])
    out, err = terminal.capsys.readouterr()
    return int(code), out, err


@pytest.mark.usefixtures("at_the_database")
def test_products_offer_is_all_or_nothing(
    terminal: Terminal, lab: LabState, tmp_path: Path
) -> None:
    first, second = (f"t-{uuid.uuid4().hex[:12]}" for _ in range(2))
    item = (
        "- {{id: {}, name: Test, paper: matte, width_mm: 100, height_mm: 150, price_minor: {}, "
        "currency: JPY, delivered: 5}}\n"
    )
    path = tmp_path / "products.yaml"
    path.write_text(item.format(first, 1234) + item.format(second, 0))
    code, out, err = offer(terminal, path)
    assert (code, out) == (FAILED, "")
    assert "[1] price_minor: expected" in err
    path.write_text(item.format(first, 1234) + item.format(second, 1))
    assert offer(terminal, path)[0] == DONE
    database = lab.database()
    books = Products(database).stock_levels()
    database.close()
    assert (books[first].on_hand, books[second].on_hand) == (5, 5)
    (line,) = [line for line in terminal.run("products", "list")[1].splitlines() if first in line]
    assert "1,234 JPY" in line


@pytest.mark.usefixtures("at_the_database")
def test_products_offer_missing_file_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    code, out, err = offer(terminal, tmp_path / "nowhere.yaml")
    assert (code, out) == (FAILED, "")
    assert "expected a YAML list" in err
