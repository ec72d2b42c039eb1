"""The embedded Postgres server: its files, its port and its parent."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

from services.local import postgres as servers
from services.local.emulator import free_port
from services.local.state import PROJECT
from services.platform.errors import TransientError
from tests.support.postgres import superuser
from tests.support.waiting import eventually


def test_the_server_keeps_its_secrets_and_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    modes = {path: path.stat().st_mode for path in (tmp_path, *tmp_path.parents)}
    with servers.running(folder) as first:
        with superuser(first) as cursor:
            cursor.execute("CREATE TABLE kept ()")
        assert stat.S_IMODE((folder / "credentials.json").stat().st_mode) == 0o600
        for password in (first.password, first.superuser_password):
            assert password not in first.log_file.read_text()
        for wrong in ("", "wrong"):
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(first.url, password=wrong)
    with servers.running(folder) as second, superuser(second) as cursor:
        assert second.password == first.password
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == ("kept",)
    with servers.running(folder, fresh=True) as third, superuser(third) as cursor:
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == (None,)
    assert {path: path.stat().st_mode for path in modes} == modes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Postgres as another user")
def test_server_below_a_root_only_folder_runs_from_a_copy_without_mode_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "checkout"
    closed.mkdir(mode=0o700)
    found = importlib.util.find_spec(servers.WHEEL)
    assert found is not None
    assert found.origin is not None
    installed = Path(found.origin).parent
    for folder in (installed, installed.with_name(f"{installed.name}.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.syspath_prepend(str(closed))
    modes = {path: path.stat().st_mode for path in (closed, *closed.parents)}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as copies:
        Path(copies).chmod(0o755)
        monkeypatch.setattr(servers, "COPIES", Path(copies), raising=False)
        with servers.running(closed / "lab") as running, superuser(running) as cursor:
            program = Path(f"/proc/{running.process.pid}/exe").resolve()
            cursor.execute("SHOW data_directory")
            assert cursor.fetchone() == (str(closed / "lab" / "data"),)
        assert program.is_relative_to(copies)
    assert {path: path.stat().st_mode for path in modes} == modes


def test_a_server_without_its_port_tells_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TransientError, match="Address already in use"):
            servers.start(tmp_path, taken.getsockname()[1])


def test_the_server_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from services.local import postgres\n"
            "server = postgres.start(Path(sys.argv[1]), int(sys.argv[2]))\n"
            "print(server.process.pid, flush=True); time.sleep(60)",
            str(tmp_path),
            str(free_port()),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    eventually(lambda: not alive(server), "the server ends with its parent")
    parent.stdout.close()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
