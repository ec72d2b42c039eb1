"""send-image-email on a real SES and DynamoDB: each e-mail at most once."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
)

from services.events.images import ImageEvent, ImageEventType, publish
from services.local.emulator import Emulator
from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.letter import Stationery
from services.mail.outbox import (
    THROTTLED_ATTEMPTS,
    THROTTLED_CAP_SECONDS,
    DeliveryUnknownError,
    Outbox,
)
from services.mail.recipients import Recipients, RecipientSettings, Suppression
from services.mail.send_image_email import SendImageEmail
from services.platform import deadline
from services.platform.aws import clients
from services.platform.configuration import read
from services.platform.errors import PermanentError, PostponedError, TransientError
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from tests.integration.conftest import Provisioned
from tests.support.waiting import HTTP_SECONDS, scaled

SENDER = "Darkroom <photos@darkroom.example>"


class Recorder:
    """An SNS client that records the published message."""

    def __init__(self) -> None:
        self.text = ""

    def publish(self, **arguments: Any) -> None:
        self.text = arguments["Message"]


def message(event: ImageEvent) -> Message:
    recorder = Recorder()
    publish(recorder, "topic", event)
    return Message("m", recorder.text, 1, False, time.monotonic() + 30)


@pytest.fixture
def event() -> ImageEvent:
    """An event with a recipient of its own."""
    identifier = uuid.uuid4().hex
    return ImageEvent(
        id=identifier,
        type=ImageEventType.DEVELOPED,
        time="2026-01-02T03:04:05Z",
        owner="ann",
        image_id="i",
        source_key="ann/1/a.jpg",
        filename="a.jpg",
        recipient=f"{identifier}@example.org",
        width=4,
        height=3,
        thumbnail_key="ann/i/thumb.jpg",
    )


@pytest.fixture
def function(provisioned: Provisioned) -> SendImageEmail:
    session = provisioned.session
    return SendImageEmail(
        s3=session.client("s3"),
        outbox=Outbox(
            session.client("ses"),
            IdempotencyStore(
                session.client("dynamodb"), provisioned.lab.table("idempotency"), 0.5, 3600
            ),
            Recipients(session.client("dynamodb"), provisioned.lab.table("recipients")),
            Stationery(SENDER),
        ),
        renditions_bucket=provisioned.lab.bucket("renditions"),
    )


def recipients_of(function: SendImageEmail) -> Recipients:
    assert function.outbox.recipients is not None
    return function.outbox.recipients


class Proxy:
    """Forwards HTTP requests to `target` and closes the connection instead of responding."""

    def __init__(self, target: str) -> None:
        self.requests = 0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                proxy.requests += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                request = urllib.request.Request(target + self.path, body, dict(self.headers))
                with urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS)) as answer:
                    answer.read()
                self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def response_dropping_proxy(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()


def emails_to(provisioned: Provisioned, recipient: str | None) -> int:
    url = f"{provisioned.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=scaled(HTTP_SECONDS)) as answer:
        sent = json.load(answer)
    return json.dumps(sent).count(f'"To": ["{recipient}"]')


def test_repeated_event_sends_one_email(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    for _ in range(3):
        function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1


@pytest.mark.parametrize("on_website", [True, None])
def test_email_links_to_the_photo_only_for_uploads_on_the_website(
    provisioned: Provisioned,
    function: SendImageEmail,
    event: ImageEvent,
    on_website: bool | None,
) -> None:
    linking = dataclasses.replace(function.outbox, site_url="https://shop.example")
    event = dataclasses.replace(event, on_website=on_website, recipient_name="Ann")
    dataclasses.replace(function, outbox=linking).handle(message(event))
    text = photo_email(provisioned, event.recipient)
    assert "Hello Ann," in text
    assert ("https://shop.example/photos/i" in text) is bool(on_website)
    assert "catalogue" not in text


def photo_email(provisioned: Provisioned, recipient: str | None) -> str:
    """The text of the one e-mail to the recipient."""
    url = f"{provisioned.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=scaled(HTTP_SECONDS)) as answer:
        sent = json.load(answer)
    (text,) = [
        mail["BodyText"]
        for account in sent["messages"].values()
        for mail in account
        if mail["To"] == [recipient]
    ]
    return str(text)


def test_unsubscribe_link_of_an_email_stops_further_emails_about_photos(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    function = dataclasses.replace(
        function, outbox=dataclasses.replace(function.outbox, api_url="https://api.example")
    )
    function.handle(message(event))
    text = photo_email(provisioned, event.recipient)
    (token,) = re.findall(r"https://api.example/unsubscribe/([0-9a-f]{64})\s", text)
    recipients = recipients_of(function)
    assert recipients.unsubscribe(token)
    assert recipients.unsubscribe(token), "a second click is answered like the first"
    function.handle(message(dataclasses.replace(event, id=uuid.uuid4().hex)))
    assert emails_to(provisioned, event.recipient) == 1
    assert event.recipient is not None
    assert recipients.choose_photo_emails(event.recipient, wanted=True).token == token
    function.handle(message(dataclasses.replace(event, id=uuid.uuid4().hex)))
    assert emails_to(provisioned, event.recipient) == 2


def test_unsubscribe_token_with_wrong_secret_changes_nothing(function: SendImageEmail) -> None:
    recipients, address = recipients_of(function), f"{uuid.uuid4().hex}@example.org"
    token = recipients.settings_with_token(address).token
    for wrong in (token[:32] + "0" * 32, "0" * 32 + token[32:], token[:32], ""):
        assert not recipients.unsubscribe(wrong)
    assert recipients.settings(address) == RecipientSettings(token=token)
    assert recipients.settings_with_token(address.upper()).token == token


@pytest.mark.parametrize("reason", Suppression)
def test_suppressed_address_gets_no_email(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent, reason: Suppression
) -> None:
    assert event.recipient is not None
    recipients_of(function).suppress(event.recipient, reason)
    function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 0


def test_email_about_a_photo_is_not_sent_without_a_table_of_recipients(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    outbox = dataclasses.replace(function.outbox, recipients=None)
    dataclasses.replace(function, outbox=outbox).handle(message(event))
    assert emails_to(provisioned, event.recipient) == 0


def test_event_without_recipient_sends_no_email(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    function.handle(message(dataclasses.replace(event, recipient=None)))
    function.handle(message(dataclasses.replace(event, type=ImageEventType.DELETED)))
    assert emails_to(provisioned, event.recipient) == 0


class Interrupted(BaseException):
    """The process dies during the call."""


class Interrupting:
    """An SES client that sends the e-mail and then raises Interrupted."""

    def __init__(self, ses: Any) -> None:
        self._ses = ses
        self.exceptions = ses.exceptions

    def send_raw_email(self, **arguments: Any) -> None:
        self._ses.send_raw_email(**arguments)
        raise Interrupted


def test_crash_while_sending_sends_again_only_after_replay(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    dying = dataclasses.replace(
        function, outbox=dataclasses.replace(function.outbox, ses=Interrupting(function.outbox.ses))
    )
    with pytest.raises(Interrupted):
        dying.handle(message(event))
    # A wait that used up receives would end as a dead letter whose replay sends the e-mail twice.
    with pytest.raises(PostponedError, match="claimed for another") as waiting:
        function.handle(message(event))
    assert 0 < waiting.value.seconds <= function.outbox.idempotency.lease_seconds
    time.sleep(0.6)  # the lease ends
    for _ in range(3):
        with pytest.raises(DeliveryUnknownError, match="replay this dead letter"):
            function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1
    replay = dataclasses.replace(message(event), replayed=True)
    function.handle(replay)
    assert emails_to(provisioned, event.recipient) == 2
    function.handle(replay)
    function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 2


def test_unverified_sender_raises_permanent_error_and_releases_the_claim(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    wrong = dataclasses.replace(
        function,
        outbox=dataclasses.replace(
            function.outbox, stationery=Stationery("unknown@unverified.example")
        ),
    )
    for _ in range(2):
        with pytest.raises(PermanentError, match="SES refuses the e-mail"):
            wrong.handle(message(event))
    function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1


class FailingSes:
    """An SES client that raises `error` and sends nothing; counts the calls."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def send_raw_email(self, **_: Any) -> None:
        self.calls += 1
        raise self.error


def with_ses(function: SendImageEmail, ses: Any) -> SendImageEmail:
    return dataclasses.replace(function, outbox=dataclasses.replace(function.outbox, ses=ses))


def ses_error(status: int, code: str, message: str = "") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "SendRawEmail")


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalFailure"), (503, "ServiceUnavailable"), (504, "")]
)
def test_server_error_of_ses_is_unknown_and_not_sent_again(
    provisioned: Provisioned,
    function: SendImageEmail,
    event: ImageEvent,
    status: int,
    code: str,
) -> None:
    ses = FailingSes(ses_error(status, code))
    with pytest.raises(DeliveryUnknownError, match="unknown outcome"):
        with_ses(function, ses).handle(message(event))
    for _ in range(2):
        with pytest.raises(DeliveryUnknownError, match="unknown outcome"):
            function.handle(message(event))
    assert (ses.calls, emails_to(provisioned, event.recipient)) == (1, 0)
    function.handle(dataclasses.replace(message(event), replayed=True))
    assert emails_to(provisioned, event.recipient) == 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ses_error(400, "AccessDenied"), ClientError),
        (ses_error(400, "Throttling", "Daily message quota exceeded."), TransientError),
        (EndpointConnectionError(endpoint_url="http://ses"), TransientError),
        (ConnectTimeoutError(endpoint_url="http://ses"), TransientError),
    ],
)
def test_email_that_ses_did_not_accept_is_sent_by_the_next_delivery(
    provisioned: Provisioned,
    function: SendImageEmail,
    event: ImageEvent,
    error: Exception,
    raised: type[Exception],
) -> None:
    with pytest.raises(raised):
        with_ses(function, FailingSes(error)).handle(message(event))
    function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1


class ThrottlingSes:
    """An SES client that throttles the first `times` calls."""

    def __init__(self, ses: Any, times: int) -> None:
        self.ses, self.left = ses, times

    def send_raw_email(self, **arguments: Any) -> Any:
        if self.left:
            self.left -= 1
            raise ses_error(400, "Throttling", "Maximum sending rate exceeded.")
        return self.ses.send_raw_email(**arguments)


def with_throttling(
    function: SendImageEmail, times: int, sleep: Callable[[float], None]
) -> SendImageEmail:
    throttling = ThrottlingSes(function.outbox.ses, times)
    lasting = dataclasses.replace(function.outbox.idempotency, lease_seconds=45)
    return dataclasses.replace(
        function,
        outbox=dataclasses.replace(
            function.outbox, ses=throttling, idempotency=lasting, sleep=sleep
        ),
    )


def test_throttled_email_is_sent_by_the_same_delivery(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent
) -> None:
    pauses: list[float] = []
    with_throttling(function, 3, pauses.append).handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1
    assert len(pauses) == 3
    assert all(0 < pause <= THROTTLED_CAP_SECONDS for pause in pauses)


@pytest.mark.parametrize("seconds_left", [600, 8])
def test_email_throttled_for_long_is_sent_by_the_next_delivery(
    provisioned: Provisioned, function: SendImageEmail, event: ImageEvent, seconds_left: int
) -> None:
    pauses: list[float] = []
    throttled = with_throttling(function, 100, pauses.append)
    with (
        deadline.invocation(seconds_left * 1000),
        pytest.raises(TransientError, match="SES throttles"),
    ):
        throttled.handle(message(event))
    assert len(pauses) == (THROTTLED_ATTEMPTS - 1 if seconds_left == 600 else 0)
    function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1


def test_lost_response_of_ses_is_not_retried_by_the_sdk(
    provisioned: Provisioned,
    function: SendImageEmail,
    event: ImageEvent,
    cloud: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function's own SES client, behind a proxy that drops the response."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    with response_dropping_proxy(cloud.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SES", proxy.url)
        clients.client.cache_clear()
        clients.session.cache_clear()
        configuration = read(
            MailConfiguration,
            {
                "MAIL_LEASE_SECONDS": "45",
                "MAIL_KEEP_SECONDS": "3600",
                "RECIPIENTS_TABLE": recipients_of(function).table,
                "IDEMPOTENCY_TABLE": function.outbox.idempotency.table,
                "MAIL_SENDER": SENDER,
            },
        )
        outbox = make_outbox(configuration, dynamodb=function.outbox.idempotency.dynamodb)
        with pytest.raises(DeliveryUnknownError):
            dataclasses.replace(function, outbox=outbox).handle(message(event))
        assert proxy.requests == 1
    clients.client.cache_clear()
    clients.session.cache_clear()
    with pytest.raises(DeliveryUnknownError):
        function.handle(message(event))
    assert emails_to(provisioned, event.recipient) == 1
