"""Calls of a real receiver on loopback: what counts as delivered, and every limit."""

from __future__ import annotations

import datetime
import email.utils
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.platform import deadline
from services.webhooks.addresses import AddressPolicy
from services.webhooks.delivery import RETRY_AFTER_SECONDS_MAX, Caller, DeliveryError
from tests.support.loopback import LOOPBACK, Reply, record_delays, scripted, serving
from tests.support.waiting import scaled

NOW = 1_800_000_000.0


def caller(seconds: float = 30.0, tls: ssl.SSLContext | None = None) -> Caller:
    context = tls or ssl.create_default_context()
    return Caller(AddressPolicy(loopback=True), scaled(seconds), lambda: context, lambda: NOW)


def test_call_has_body_headers_and_path() -> None:
    with scripted(Reply(204, b"")) as receiver:
        status = caller().post(f"{receiver.url}/hook?a=b", {"webhook-id": "1"}, b'{"type": "x"}')
    assert status == 204
    (received,) = receiver.received
    assert (received.method, received.path, received.body) == (
        "POST",
        "/hook?a=b",
        b'{"type": "x"}',
    )
    assert received.headers["webhook-id"] == "1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == receiver.url.removeprefix("http://")


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429, 500, 503])
def test_other_status_is_a_failure_and_a_redirect_is_not_followed(status: int) -> None:
    with serving(lambda _: Reply(200)) as other:
        elsewhere = Reply(status, {"secret": "of the receiver"}, {"location": f"{other.url}/"})
        with scripted(elsewhere) as receiver, pytest.raises(DeliveryError) as failed:
            caller().post(f"{receiver.url}/?key=word", {}, b"{}")
    assert failed.value.status == status
    assert failed.value.is_gone is (status == 410)
    assert str(failed.value) == f"status {status}"
    assert other.received == []


def test_call_waits_for_no_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    delayed = record_delays(monkeypatch)
    with scripted(Reply(200)) as receiver:
        caller().post(receiver.url, {}, b"{}")
    assert delayed
    assert not any(delayed)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9" * 30, RETRY_AFTER_SECONDS_MAX),
        (email.utils.formatdate(NOW + 60, usegmt=True), 60.0),
        (email.utils.formatdate(NOW - 60, usegmt=True), 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_read_as_number_and_date(text: str, seconds: float | None) -> None:
    reply = Reply(503, {}, {"retry-after": text})
    with scripted(reply) as receiver, pytest.raises(DeliveryError) as failed:
        caller().post(receiver.url, {}, b"{}")
    assert failed.value.retry_after == seconds


@contextmanager
def raw_server(answer: bytes, pause_seconds: float = 0.0) -> Iterator[str]:
    """Sends `answer` to each connection, one byte after the other with pauses, and then waits."""
    ended = threading.Event()
    with socket.create_server((LOOPBACK, 0)) as listening:

        def answer_all() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                with connected:
                    try:
                        for byte in answer:
                            connected.sendall(bytes([byte]))
                            ended.wait(pause_seconds)
                        ended.wait(scaled(60))
                    except OSError:
                        continue

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(scaled(20))


def test_receiver_that_never_answers_is_given_up() -> None:
    with raw_server(b"") as url, pytest.raises(DeliveryError, match="no response within"):
        caller(0.3).post(url, {}, b"{}")


def test_receiver_that_answers_byte_by_byte_is_given_up() -> None:
    # Each byte comes in time, so that no single read times out.
    answer = b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 10_000
    with raw_server(answer, 0.05) as url, pytest.raises(DeliveryError, match="no response within"):
        caller(0.5).post(url, {}, b"{}")


def test_body_of_the_response_is_not_read() -> None:
    # The declared body never comes; the head is enough.
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n") as url:
        assert caller().post(url, {}, b"{}") == 200


@pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000])
def test_answer_that_is_not_http_is_a_failure(answer: bytes) -> None:
    with raw_server(answer) as url, pytest.raises(DeliveryError, match="the connection failed"):
        caller(5).post(url, {}, b"{}")


def test_closed_port_is_a_failure() -> None:
    with socket.create_server((LOOPBACK, 0)) as closed:
        url = f"http://{LOOPBACK}:{closed.getsockname()[1]}/?key=word"
    with pytest.raises(DeliveryError) as failed:
        caller().post(url, {}, b"{}")
    assert "word" not in str(failed.value)


def test_address_that_is_not_public_is_not_called() -> None:
    with serving(lambda _: Reply(200)) as receiver, pytest.raises(DeliveryError, match="public"):
        Caller(AddressPolicy()).post(receiver.url.replace("http:", "https:"), {}, b"{}")
    assert receiver.received == []


def test_call_ends_before_the_invocation() -> None:
    with (
        raw_server(b"") as url,
        deadline.invocation(1000 * (deadline.RESERVE_SECONDS + 0.3)),
        pytest.raises(DeliveryError, match=r"no response within|no time left"),
    ):
        caller(600).post(url, {}, b"{}")


def certificate(folder: Path, address: str, *, expired: bool = False) -> Path:
    """A file with a certificate for `address` that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    days = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * days)
        .not_valid_after(now - days if expired else now + days)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def server_context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_receiver_with_a_valid_certificate_is_called(tmp_path: Path) -> None:
    file = certificate(tmp_path, LOOPBACK)
    trusting = ssl.create_default_context(cafile=str(file))
    with serving(lambda _: Reply(200), server_context(file)) as receiver:
        assert caller(tls=trusting).post(f"{receiver.url}/", {}, b"{}") == 200
    assert len(receiver.received) == 1


@pytest.mark.parametrize("problem", ["unknown authority", "other address", "expired"])
def test_receiver_with_a_wrong_certificate_is_not_called(tmp_path: Path, problem: str) -> None:
    address = "127.0.0.2" if problem == "other address" else LOOPBACK
    file = certificate(tmp_path, address, expired=problem == "expired")
    trusted = None if problem == "unknown authority" else str(file)
    context = ssl.create_default_context(cafile=trusted)
    with (
        serving(lambda _: Reply(200), server_context(file)) as receiver,
        pytest.raises(DeliveryError, match="the certificate is not valid"),
    ):
        caller(tls=context).post(f"{receiver.url}/", {}, b"{}")
    assert receiver.received == []
