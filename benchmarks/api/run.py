"""What a request costs: GET /images/{id} and POST /sessions through gateway and environment,
against the same handlers called in one plain web server process.

    python -m benchmarks.api.run [--requests N] [--rounds N] [--json]

See README.md beside this file for the method.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from services.client.api import Api
from services.local import lab as labs
from services.local.emulator import aws_environment, free_port
from services.local.state import PROJECT, LabState
from tests.support.accounts import signed_in
from tests.support.photos import jpeg

FUNCTIONS = ("get-image", "open-session")
PASSWORD = "correct horse battery staple"  # noqa: S105  a made-up customer's
WARM_UP = 10
# A sign-in is argon2's CPU; fewer make the same number of seconds.
SIGN_INS_SHARE = 0.1


@dataclass(frozen=True)
class Figures:
    """Of one case, over all rounds, in milliseconds."""

    p50_ms: float
    p99_ms: float
    requests: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=400, help="GET /images/{id} a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer is not None:
        serve_peer(options.peer)
        return
    samples: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab:
        customer = new_customer(lab, Path(folder))
        with running_peer(lab, customer, Path(folder)) as peer:
            for number in range(options.rounds):
                for side, url in (("darkroom", lab.api), ("peer", peer)):
                    print(f"round {number + 1}: {side}", file=sys.stderr)
                    with httpx.Client(base_url=url, timeout=35) as client:
                        for name, call, share in calls(client, customer):
                            forget_attempts(lab)
                            taken = measure(call, int(options.requests * share))
                            samples.setdefault((name, side), []).extend(taken)
    figures = {key: figures_of(values) for key, values in samples.items()}
    if options.json:
        print(json.dumps({f"{n} {s}": asdict(f) for (n, s), f in figures.items()}, indent=2))
        return
    print(
        f"{'':24} {'darkroom p50':>13} {'p99':>8} {'peer p50':>10} {'p99':>8} {'ratio p50':>10} ms"
    )
    for name in dict.fromkeys(name for name, _ in figures):
        ours, theirs = figures[name, "darkroom"], figures[name, "peer"]
        print(
            f"{name:24} {ours.p50_ms:13.1f} {ours.p99_ms:8.1f} {theirs.p50_ms:10.1f} "
            f"{theirs.p99_ms:8.1f} {ours.p50_ms / theirs.p50_ms:10.2f}"
        )


@dataclass(frozen=True)
class SignedIn:
    """A customer with one developed image."""

    email: str
    token: str
    user_id: str
    image_id: str


def calls(
    client: httpx.Client, customer: SignedIn
) -> Iterator[tuple[str, Callable[[], httpx.Response], float]]:
    """Name, call and share of the requests of each case."""
    path = f"/images/{customer.image_id}"
    headers = {"authorization": f"Bearer {customer.token}"}
    etag = client.get(path, headers=headers).headers["etag"]
    body = {"email": customer.email, "password": PASSWORD}
    yield "GET /images/{id}", lambda: client.get(path, headers=headers), 1.0
    yield (
        "GET /images/{id}, 304",
        lambda: client.get(path, headers=headers | {"if-none-match": etag}),
        1.0,
    )
    yield "POST /sessions", lambda: client.post("/sessions", json=body), SIGN_INS_SHARE


def measure(call: Callable[[], httpx.Response], count: int) -> list[float]:
    """Milliseconds of each of `count` calls, one after the other, after a few that do not count."""
    for _ in range(WARM_UP):
        assert call().status_code < 400
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        answer = call()
        taken.append((time.perf_counter() - started) * 1000)
        assert answer.status_code < 400, answer.text
    return taken


def figures_of(values: list[float]) -> Figures:
    cuts = statistics.quantiles(values, n=100)
    return Figures(round(cuts[49], 2), round(cuts[98], 2), len(values))


@contextmanager
def running_lab(folder: Path) -> Iterator[LabState]:
    root = folder / "lab"
    yield labs.up(root)
    labs.down(root)


def new_customer(lab: LabState, folder: Path) -> SignedIn:
    api = Api(lab.api)
    email = "benchmark@darkroom.example"
    user = signed_in(api, lab.database(), email, "Benchmark", PASSWORD)
    photo = folder / "photo.jpg"
    photo.write_bytes(jpeg())
    image = api.developed(api.upload(photo))
    api.close()
    assert api.token is not None
    return SignedIn(email, api.token, user.id, image["id"])


def forget_attempts(lab: LabState) -> None:
    """The limit of sign-ins is not what is measured here."""
    dynamodb, table = lab.session.client("dynamodb"), lab.tables["sign-in-attempts"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"subject": item["subject"]})


# -- the peer: the same handlers behind a plain web server, in its own process


@contextmanager
def running_peer(lab: LabState, customer: SignedIn, folder: Path) -> Iterator[str]:
    gateway = json.loads((folder / "lab" / "gateway.json").read_text())
    plan = {
        "port": free_port(),
        "customer": asdict(customer),
        "environments": {
            Path(f["folder"]).name: f["environment"]
            for f in gateway["functions"]
            if Path(f["folder"]).name in FUNCTIONS
        },
    }
    path = folder / "peer.json"
    path.write_text(json.dumps(plan))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api.run", "--peer", str(path)],
        env={**os.environ, **aws_environment(lab.endpoint)},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{plan['port']}"
    try:
        while True:
            try:
                httpx.get(f"{url}/none")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


class Context:
    aws_request_id = "peer"
    function_name = "peer"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def serve_peer(path: Path) -> None:
    """A plain web server: no gateway, no environments, and every caller is signed in."""
    import uvicorn

    plan = json.loads(path.read_text())
    customer = SignedIn(**plan["customer"])
    handlers = {}
    for name, environment in plan["environments"].items():
        os.environ.update(environment)
        spec = importlib.util.spec_from_file_location(
            name, PROJECT / "images" / name / "handler.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        handlers[name] = module.handler
    session = {
        "session": "valid",
        "session_id": "peer",
        "user_id": customer.user_id,
        "email": customer.email,
        "role": "customer",
        "expires_at": str(int(time.time()) + 3600),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        is_image = scope["path"].startswith("/images/")
        event = {
            "routeKey": "GET /images/{id}" if is_image else "POST /sessions",
            "rawPath": scope["path"],
            "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
            "requestContext": {
                "requestId": "peer",
                "http": {"sourceIp": scope["client"][0]},
                "authorizer": {"lambda": session},
            },
            "pathParameters": {"id": customer.image_id} if is_image else {},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
        if scope["path"] == "/none":
            answer: dict[str, Any] = {"statusCode": 404, "headers": {}}
        else:
            answer = handlers["get-image" if is_image else "open-session"](event, Context())
        headers = [(k.encode(), v.encode()) for k, v in answer["headers"].items()]
        content = answer.get("body", "").encode()
        await send(
            {"type": "http.response.start", "status": answer["statusCode"], "headers": headers}
        )
        await send({"type": "http.response.body", "body": content})

    uvicorn.run(app, host="127.0.0.1", port=plan["port"], log_level="error", access_log=False)


if __name__ == "__main__":
    main()
