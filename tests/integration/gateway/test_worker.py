"""A single function's container: its route, the authorizer in another one, health, stopping."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from services.runtime.exit_codes import ExitCode
from tests.integration.gateway.support import (
    Response,
    Running,
    gateway,
    http_worker,
    write_http_function,
)
from tests.integration.worker.support import ROOT
from tests.support.waiting import eventually, scaled

INVOKE = "/2015-03-31/functions/function/invocations"
SAYS_WHO = """
    import json
    def handler(event, context):
        who = event["requestContext"]["authorizer"]["lambda"]
        return {"statusCode": 200, "body": json.dumps(who)}
"""
AUTHORIZES = """
    import os
    def handler(event, context):
        if "identitySource" not in event: raise KeyError("identitySource")
        token = event["identitySource"][0]
        print("asked " + token)
        if token == "crash": os._exit(1)
        return {"isAuthorized": token != "stranger", "context": {"user_id": token}}
"""
SLOW = """
    import time
    def handler(event, context):
        print("working", flush=True)
        time.sleep(float(event["queryStringParameters"]["s"]))
        return "done"
"""


def test_a_function_and_its_authorizer_in_containers_of_their_own(tmp_path: Path) -> None:
    decides = write_http_function(tmp_path / "authorize-request", AUTHORIZES)
    says = write_http_function(
        tmp_path / "says", SAYS_WHO, route="GET /who", authorization="session"
    )
    with (
        http_worker(decides, tmp_path / "authorizer.log") as authorizer,
        http_worker(
            says,
            tmp_path / "function.log",
            WORKER_CONCURRENCY=2,
            WORKER_AUTHORIZER_URL=f"http://127.0.0.1:{authorizer.port}",
        ) as running,
    ):
        assert running.ask("GET", "/who").status == 401
        for _ in range(3):
            assert running.ask("GET", "/who", {"Authorization": "ann"}).json() == {"user_id": "ann"}
        assert len(authorizer.events("asked ann")) == 1, "its decision is kept here"
        assert running.ask("GET", "/who", {"Authorization": "stranger"}).status == 403
        assert running.ask("GET", "/who", {"Authorization": "crash"}).status == 500
        assert running.ask("GET", "/other", {"Authorization": "ann"}).status == 404
        assert running.ask("POST", INVOKE, body=b"{}").status == 404, "it would pass by the token"
        authorizer.terminate()
        assert authorizer.exit_code() == ExitCode.DRAINED
        assert running.ask("GET", "/who", {"Authorization": "bob"}).status == 500
        assert running.ask("GET", "/who", {"Authorization": "ann"}).status == 200


def test_lambdas_invoke_api(tmp_path: Path) -> None:
    decides = write_http_function(tmp_path / "authorize-request", AUTHORIZES)
    with http_worker(decides, tmp_path / "worker.log") as running:
        good = running.ask("POST", INVOKE, body=b'{"identitySource": ["x"]}')
        assert (good.status, good.json()["isAuthorized"]) == (200, True)
        assert good.header("x-amz-function-error") is None
        assert good.header("x-amz-executed-version") == "$LATEST"
        bad = running.ask("POST", INVOKE, body=b"{}")
        assert (bad.status, bad.header("x-amz-function-error")) == (200, "Unhandled")
        assert bad.json()["errorType"] == "KeyError"
        crash = running.ask("POST", INVOKE, body=b'{"identitySource": ["crash"]}')
        assert (crash.status, crash.json()["errorType"]) == (200, "Runtime.ExitError")
        dry = running.ask("POST", INVOKE, {"X-Amz-Invocation-Type": "DryRun"}, b"{}")
        assert dry.status == 204
        assert running.ask("POST", INVOKE, body=b"no json").status == 400
        event = running.ask("POST", INVOKE, {"X-Amz-Invocation-Type": "Event"}, b"{}")
        assert event.status == 400
        large = running.ask("POST", INVOKE, body=b'"' + b"x" * 6_400_000 + b'"')
        assert (large.status, large.header("x-amzn-errortype")) == (413, "RequestTooLargeException")


def test_health_is_whether_an_environment_can_start(tmp_path: Path) -> None:
    broken, file = tmp_path / "broken", tmp_path / "health"
    broken.touch()
    folder = write_http_function(
        tmp_path / "f",
        f"""
        import pathlib
        if pathlib.Path({str(broken)!r}).exists(): raise LookupError("not yet")
        def handler(event, context): return "well"
        """,
        route="GET /x",
    )

    def healthy() -> bool:
        return (
            subprocess.run(
                [sys.executable, "-m", "services.worker", "health"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "WORKER_HEALTH_FILE": str(file)},
                check=False,
                capture_output=True,
            ).returncode
            == ExitCode.DRAINED
        )

    with http_worker(folder, tmp_path / "worker.log", WORKER_HEALTH_FILE=file) as running:
        running.await_event("init_failed", 2)
        assert not healthy()
        broken.unlink()
        running.await_event("environment_started")
        eventually(healthy, "it is healthy once it has started")
        assert running.ask("GET", "/x").body == b"well"


class _Asking(threading.Thread):
    """A request in a thread of its own."""

    def __init__(self, running: Running, target: str) -> None:
        super().__init__(daemon=True)
        self._running, self._target = running, target
        self.response: Response | None = None
        self.start()

    def run(self) -> None:
        try:
            self.response = self._running.ask("GET", self._target)
        except OSError:
            self.response = None

    def result(self) -> Response | None:
        self.join(scaled(20))
        assert not self.is_alive()
        return self.response


def test_sigterm_lets_requests_finish_and_takes_no_more(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", SLOW, route="GET /slow")
    with gateway(tmp_path / "gateway", {"folder": str(folder)}) as running:
        idle = running.connect()
        asking = _Asking(running, "/slow?s=1.5")
        running.await_event("working")
        (environment,) = running.events("environment_started")
        running.terminate()
        running.await_event("drain_started")
        eventually(lambda: _refused(running), "nothing new is taken")
        response = asking.result()
        assert running.exit_code() == ExitCode.DRAINED
        idle.close()
    assert response is not None
    assert (response.status, response.body) == (200, b"done")
    assert not Path(f"/proc/{environment['pid']}").exists(), "no environment is left"


def test_the_drain_time_and_a_second_signal_end_requests(tmp_path: Path) -> None:
    folder = write_http_function(
        tmp_path / "f", SLOW.replace("working", "busy"), route="GET /slow", timeout_seconds=29
    )
    for name, variables in (("timeout", {"WORKER_DRAIN_SECONDS": 1}), ("signal", {})):
        with gateway(tmp_path / name, {"folder": str(folder)}, **variables) as running:
            asking = _Asking(running, "/slow?s=20")
            running.await_event("busy")
            (environment,) = running.events("environment_started")
            running.terminate()
            running.await_event("drain_started")
            if name == "signal":
                running.process.send_signal(signal.SIGINT)
            response = asking.result()
            assert running.exit_code() == ExitCode.UNFINISHED
        assert response is not None
        assert (response.status, response.message) == (503, "Service Unavailable")
        assert not Path(f"/proc/{environment['pid']}").exists(), "no environment is left"


def test_a_slow_client_does_not_hold_up_the_end(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", SLOW, route="POST /slow")
    with (
        gateway(tmp_path / "gateway", {"folder": str(folder)}, WORKER_DRAIN_SECONDS=1) as running,
        running.connect() as sock,
    ):
        sock.sendall(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        time.sleep(0.2)
        running.terminate()
        assert running.exit_code() == ExitCode.UNFINISHED


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", SLOW, route="GET /slow")
    with gateway(tmp_path / "gateway", {"folder": str(folder)}) as running:
        config = tmp_path / "second.json"
        config.write_text(
            json.dumps({"port": running.port, "functions": [{"folder": str(folder)}]})
        )
        second = subprocess.run(
            [sys.executable, "-m", "services.gateway", str(config)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "AWS_REGION": "eu-west-1"},
            capture_output=True,
            check=False,
            timeout=scaled(60),
        )
    assert second.returncode == ExitCode.FAILED
    assert json.loads(second.stdout)["event"] == "listen_failed"


def _refused(running: Running) -> bool:
    try:
        running.connect().close()
    except ConnectionRefusedError:
        return True
    return False
