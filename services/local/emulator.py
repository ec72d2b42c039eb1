"""Starts and stops MiniStack, the embedded cloud, as one process on loopback."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from services.local.emulator_process import ORIGINS_VARIABLE
from services.platform.errors import TransientError

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
# For emulators that check no credentials; the names show in a log that they are not secret.
ACCESS_KEY_ID = "darkroom-local"
SECRET_ACCESS_KEY = "not-a-secret"  # noqa: S105
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
# Linux gives ports from 32,768 on to connections, macOS and Windows from 49,152 on
# (net.ipv4.ip_local_port_range; RFC 6335, section 6).
PORTS = range(20_000, 32_768)
PORTS_TRIED = 200


@dataclass(frozen=True)
class Credentials:
    """An access key of an emulator's root account. The emulator checks signed links and forms
    against it."""

    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = field(default=SECRET_ACCESS_KEY, repr=False)


DEFAULT_CREDENTIALS = Credentials()


def random_credentials() -> Credentials:
    return Credentials(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its process, its port on loopback and its credentials."""

    process: subprocess.Popen[bytes]
    port: int
    credentials: Credentials = DEFAULT_CREDENTIALS

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which an AWS SDK uses this emulator."""
        return aws_environment(self.endpoint, self.credentials)


@dataclass(frozen=True)
class EmulatorOptions:
    """How an emulator runs.

    E-mails go to the SMTP server on `smtp_port` of loopback, if given. With `iam_enforced` it
    checks signatures and permissions as AWS does; `credentials` are the account's root. State is
    kept in `data_folder`, if given, and loaded from there. Web pages of `origins` may send
    requests.
    """

    credentials: Credentials = DEFAULT_CREDENTIALS
    smtp_port: int | None = None
    iam_enforced: bool = False
    data_folder: Path | None = None
    origins: tuple[str, ...] = ()


DEFAULT_OPTIONS = EmulatorOptions()


def aws_environment(
    endpoint: str, credentials: Credentials = DEFAULT_CREDENTIALS
) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        # There is no instance metadata here; without this a client may wait for it.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago.

    It is one that the system does not give to connections, or another program might get it before
    the caller binds it. Raises OSError when PORTS_TRIED of them are in use.
    """
    for port in random.SystemRandom().sample(PORTS, k=PORTS_TRIED):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise OSError(f"{PORTS_TRIED} ports from {PORTS[0]} to {PORTS[-1]} are in use")


def launch(
    port: int,
    log_file: Path,
    options: EmulatorOptions = DEFAULT_OPTIONS,
    before_run: Callable[[], None] | None = None,
) -> Emulator:
    """Starts the emulator's process without waiting for it. `before_run` is called in the new
    process."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/tmp"),  # noqa: S108
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": options.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": options.credentials.secret_access_key,
        ORIGINS_VARIABLE: ",".join(options.origins),
    }
    if options.iam_enforced:
        environment["AUTH"] = "true"
    if options.smtp_port is not None:
        environment["SMTP_HOST"] = f"{LOOPBACK}:{options.smtp_port}"
    if options.data_folder is not None:
        environment |= {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(options.data_folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(options.data_folder / "s3"),
        }
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.local.emulator_process"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_run,
        )
    return Emulator(process, port, options.credentials)


def wait_until_healthy(emulator: Emulator, log_file: Path) -> None:
    """Waits for the emulator. Raises TransientError with the end of its log when it ends or does
    not answer in time."""
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while not healthy(emulator.endpoint):
        if emulator.process.poll() is not None or time.monotonic() > give_up_at:
            stop(emulator)
            tail = log_file.read_text(errors="replace")[-2000:]
            raise TransientError(
                f"the emulator did not become healthy on port {emulator.port} within "
                f"{START_TIMEOUT_SECONDS} s; the end of {log_file}:\n{tail}"
            )
        time.sleep(0.02)


def start(
    port: int,
    log_file: Path,
    smtp_port: int | None = None,
    before_run: Callable[[], None] | None = None,
    *,
    iam_enforced: bool = False,
) -> Emulator:
    """Starts the emulator and waits until it is healthy; see EmulatorOptions.

    Raises TransientError with the end of its log when it does not answer in time.
    """
    options = EmulatorOptions(smtp_port=smtp_port, iam_enforced=iam_enforced)
    emulator = launch(port, log_file, options, before_run)
    wait_until_healthy(emulator, log_file)
    return emulator


def healthy(endpoint: str) -> bool:
    """Whether an emulator answers at `endpoint`; another program there may speak anything."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2) as answer:  # noqa: S310
            return isinstance(json.load(answer), dict)
    except (URLError, OSError, ValueError, HTTPException):
        return False


def stop(emulator: Emulator) -> None:
    """Stops the emulator, with SIGKILL after STOP_TIMEOUT_SECONDS."""
    if emulator.process.poll() is None:
        emulator.process.send_signal(signal.SIGTERM)
    try:
        emulator.process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        emulator.process.kill()
        emulator.process.wait()


@contextmanager
def running(log_file: Path, port: int | None = None) -> Iterator[Emulator]:
    """An emulator for a `with` block, on a free port unless `port` is given."""
    emulator = start(port or free_port(), log_file)
    try:
        yield emulator
    finally:
        stop(emulator)
