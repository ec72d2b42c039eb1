"""Starts and stops MiniStack, the embedded cloud, as one process on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from services.platform.errors import TransientError

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
# The emulator takes any credentials for plain calls, and checks links and forms against these. They
# say to a reader of a log that they are no secret.
ACCESS_KEY_ID = "darkroom-local"
SECRET_ACCESS_KEY = "not-a-secret"  # noqa: S105
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its process and where it answers."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS SDK needs in its environment to talk to this emulator."""
        return aws_environment(self.endpoint)


def aws_environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        # Instance metadata is never there locally; without this a client may wait for it.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    port: int,
    log_file: Path,
    smtp_port: int | None = None,
    before_run: Callable[[], None] | None = None,
    *,
    iam_enforced: bool = False,
) -> Emulator:
    """Starts the emulator and waits until it is healthy.

    It hands e-mails to the SMTP server on `smtp_port` of loopback, where one is given.
    `before_run` is called in the new process before the emulator runs in it. With `iam_enforced` it
    checks signatures and rights as AWS does; our credentials are the account's root, which may all.

    Raises TransientError when it does not answer in time, with the end of its log.
    """
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/tmp"),  # noqa: S108
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        # Links and forms are checked against these, as S3 does.
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    if iam_enforced:
        environment["AUTH"] = "true"
    if smtp_port is not None:
        environment["SMTP_HOST"] = f"{LOOPBACK}:{smtp_port}"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_run,
        )
    emulator = Emulator(process, port)
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while not healthy(emulator.endpoint):
        if process.poll() is not None or time.monotonic() > give_up_at:
            stop(emulator)
            tail = log_file.read_text(errors="replace")[-2000:]
            raise TransientError(
                f"the emulator did not become healthy on port {port} within "
                f"{START_TIMEOUT_SECONDS} s; the end of {log_file}:\n{tail}"
            )
        time.sleep(0.05)
    return emulator


def healthy(endpoint: str) -> bool:
    """Whether an emulator answers at `endpoint`."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2) as answer:  # noqa: S310
            return isinstance(json.load(answer), dict)
    except (URLError, OSError, ValueError):
        return False


def stop(emulator: Emulator) -> None:
    """Ends the emulator, by force if it does not go in time."""
    if emulator.process.poll() is None:
        emulator.process.send_signal(signal.SIGTERM)
    try:
        emulator.process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        emulator.process.kill()
        emulator.process.wait()


@contextmanager
def running(log_file: Path, port: int | None = None) -> Iterator[Emulator]:
    """An emulator for the length of a `with` block, on a free port unless told."""
    emulator = start(port or free_port(), log_file)
    try:
        yield emulator
    finally:
        stop(emulator)
