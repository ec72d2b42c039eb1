"""GET /events of a gateway that reads a real queue of the emulator."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.gateway.event_stream import MAX_STREAMS_PER_ACCOUNT, RETRY_SECONDS
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator, aws_environment
from services.local.provision import make_events_queue
from tests.integration.conftest import Provisioned
from tests.integration.gateway.support import Running, gateway, write_http_function
from tests.support.waiting import HTTP_SECONDS, scaled

# The user is the token; a token beginning with - has no session, `ended` lists those that end.
AUTHORIZER = """
    import pathlib
    ENDED = pathlib.Path(__file__).with_name("ended")
    def handler(event, context):
        token = event["identitySource"][0]
        if token == "broken":
            raise RuntimeError("no decision")
        ended = ENDED.exists() and token in ENDED.read_text().split()
        state = {"-unavailable": "unavailable", "-unknown": "unknown"}.get(token, "valid")
        found = {"session": "expired" if ended else state, "user_id": token,
                 "expires_at": "1" if token == "late" else "99999999999"}
        if token == "key":
            found["scopes"] = "photos:read"
        return {"isAuthorized": True, "context": found}
"""


class Stream:
    """An open stream. `fields` reads the next lines until an empty one."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=scaled(HTTP_SECONDS)
        )
        self._connection.request("GET", "/events", headers={"authorization": token})
        self.answer = self._connection.getresponse()

    def fields(self) -> list[str] | None:
        """The next block of lines; None at the end of the stream."""
        lines: list[str] = []
        while line := self.answer.readline().decode():
            if line == "\n":
                return lines
            lines.append(line.rstrip("\n"))
        return None

    def event(self) -> Any:
        """The next event, after comments."""
        while (fields := self.fields()) is not None:
            if fields[0].startswith("data: "):
                return json.loads(fields[0].removeprefix("data: "))
        return None

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Target:
    """A gateway, and the topics of its events."""

    running: Running
    provisioned: Provisioned
    authorizer: Path

    def publish(self, owner: str, subject: str, kind: str = "image.developed") -> None:
        document = {"type": kind, "subject": subject, "time": "now", "data": {"owner": owner}}
        self.provisioned.session.client("sns").publish(
            TopicArn=self.provisioned.lab.topic("image-events"),
            Message=json.dumps(document),
            MessageAttributes={
                "correlation_id": {"DataType": "String", "StringValue": f"upload-{subject}"}
            },
        )

    @contextmanager
    def stream(self, token: str) -> Iterator[Stream]:
        opened = Stream(self.running.port, token)
        try:
            assert opened.answer.status == 200, opened.answer.read()
            assert opened.fields() == [f"retry: {RETRY_SECONDS * 1000}"]
            yield opened
        finally:
            opened.close()


@pytest.fixture
def target(tmp_path: Path, cloud: Emulator, provisioned: Provisioned) -> Iterator[Target]:
    session = LocalSession(cloud.endpoint)
    queue = make_events_queue(session, provisioned.lab, name=f"events-{uuid.uuid4().hex[:8]}")
    authorizer = write_http_function(tmp_path / "authorizer", AUTHORIZER, cache_seconds=0)
    variables = aws_environment(cloud.endpoint, cloud.credentials)
    with gateway(
        tmp_path / "gateway",
        {"folder": str(authorizer)},
        events={"queue_url": queue, "heartbeat_seconds": 1},
        **variables,
    ) as running:
        yield Target(running, provisioned, authorizer)


def test_stream_has_the_events_of_its_owner_only(target: Target) -> None:
    with target.stream("ada") as ada, target.stream("bob") as bob:
        assert ada.answer.getheader("content-type") == "text/event-stream"
        assert ada.answer.getheader("cache-control") == "no-store"
        target.publish("ada", "a1")
        target.publish("bob", "b1", "image.rejected")
        target.publish("ada", "a2")
        events = [ada.event(), ada.event()]
        assert sorted(one["id"] for one in events) == ["a1", "a2"]
        assert bob.event() == {
            "type": "image.rejected", "id": "b1", "time": "now", "correlation_id": "upload-b1",
        }  # fmt: skip


def test_stream_sends_comments_and_ends_with_its_session(target: Target) -> None:
    with target.stream("ada") as ada, target.stream("bob") as bob:
        assert ada.fields() == [":"]
        (target.authorizer / "ended").write_text("ada")
        assert ada.event() is None
        assert bob.fields() == [":"]
    ended = target.running.await_event("event_stream_ended")
    assert ended[0]["reason"] == "session ended"


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 401), ("-unknown", 401), ("late", 401), ("key", 403), ("-unavailable", 503),
     ("broken", 500)],
)  # fmt: skip
def test_stream_is_for_sessions_only(target: Target, token: str, status: int) -> None:
    headers = {"authorization": token} if token else {}
    assert target.running.ask("GET", "/events", headers).status == status
    assert target.running.ask("POST", "/events", headers).status == 404


def test_account_has_a_few_streams_at_once(target: Target) -> None:
    streams = [Stream(target.running.port, "ada") for _ in range(MAX_STREAMS_PER_ACCOUNT)]
    assert {stream.answer.status for stream in streams} == {200}
    refused = target.running.ask("GET", "/events", {"authorization": "ada"})
    assert (refused.status, refused.header("retry-after")) == (429, "30")
    with target.stream("bob"):
        streams[0].close()
        give_up_at = time.monotonic() + scaled(30)
        while True:
            again = Stream(target.running.port, "ada")
            again.close()
            if again.answer.status == 200:
                break
            assert time.monotonic() < give_up_at, "a closed stream still counts"
    for stream in streams:
        stream.close()


def test_drain_ends_streams_and_the_gateway_stops(target: Target) -> None:
    with target.stream("ada") as ada:
        target.running.process.terminate()
        assert ada.event() is None
        assert target.running.process.wait(scaled(10)) == 0
