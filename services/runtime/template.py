"""A process with the libraries loaded, from which a lab's execution environments are forked.

    python -m services.runtime.template --socket FD [--socket FD ...] FOLDER ...

It imports what the handlers in the FOLDERs import, but runs no handler. On each socket it takes
requests to start an environment (see `services.runtime.forked`) and forks: the child shares the
loaded libraries with the others and goes on as a new process would. When a source file has changed
since it was loaded, requests are refused, and environments start as processes of their own.

A child that has ended stays a zombie until its worker closes the connection, so that no signal of
the worker reaches another process of the same number. Only for a lab: images start as on Lambda.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runtime import environment, output, processes
from services.runtime.forked import MALLOC_OPTIONS, MAX_REQUEST_BYTES, NUMBER
from services.runtime.function import HANDLER, ROOT

# What the worker passes: its end of the connection, then the descriptors of `Start`.
DESCRIPTORS = 5
# botocore parses the description of a service for each session: these are parsed once.
_SERVICES = ("dynamodb", "s3", "sns", "sqs", "secretsmanager", "stepfunctions")
_SERVICE_FILES = ("service-2", "endpoint-rule-set-1")
_COMMON_FILES = ("endpoints", "partitions", "sdk-default-configuration")


@dataclass(frozen=True)
class Start:
    """A request for an environment. `variables` are all of its environment variables."""

    folder: str
    variables: Mapping[str, str]
    output: int
    inherited: tuple[int, ...]

    def become(self) -> None:
        """Makes this process, just forked, what a new one would be, and runs the handler."""
        os.setsid()
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.variables)
        os.environ[environment.FDS_VARIABLE] = ",".join(map(str, self.inherited))
        time.tzset()
        for name, parameter in MALLOC_OPTIONS.items():
            if name in self.variables:
                ctypes.CDLL(None).mallopt(parameter, int(self.variables[name]))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(self.output, 1)
        os.dup2(self.output, 2)
        _close_all_but((0, 1, 2, *self.inherited))
        sys.path[:0] = [self.folder]
        sys.argv[:] = [environment.__file__, HANDLER]
        environment.main()


@dataclass
class _Child:
    """A forked environment, and the connection on which its worker learns of its end."""

    pid: int
    connection: socket.socket
    ended: bool = False
    left: bool = False
    """Whether the worker has closed the connection."""


class Template:
    """Forks environments as `requests` ask for them. For one thread."""

    def __init__(self, requests: Iterable[socket.socket], sources: Mapping[Path, int]) -> None:
        self._sources = sources
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        for one in requests:
            self._selector.register(one, selectors.EVENT_READ, self._take_request)

    def run(self) -> Start:
        """Serves for ever. Returns in each forked child, with what that is to become."""
        ended, write_end = os.pipe()
        os.set_blocking(ended, False)
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._selector.register(ended, selectors.EVENT_READ, lambda _: os.read(ended, 4096))
        while True:
            for key, _ in self._selector.select():
                answer = key.data(key.fileobj)
                if isinstance(answer, Start):
                    return answer
            self._notice_ended()

    def _take_request(self, requests: socket.socket) -> Start | None:
        message, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, DESCRIPTORS)
        if not descriptors:
            self._selector.unregister(requests)
            return None
        connection = socket.socket(fileno=descriptors[0])
        if _gone(connection) or self._stale():
            connection.close()  # which refuses it
        else:
            wanted: dict[str, Any] = json.loads(message)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return Start(
                    wanted["folder"], wanted["variables"], descriptors[1], tuple(descriptors[2:])
                )
            self._follow(_Child(pid, connection))
        for fd in descriptors[1:]:
            os.close(fd)
        return None

    def _follow(self, child: _Child) -> None:
        self._children[child.pid] = child
        with contextlib.suppress(OSError):  # the worker has ended, and with it the environment
            child.connection.send(NUMBER.pack(child.pid))
        self._selector.register(
            child.connection, selectors.EVENT_READ, lambda _: self._worker_left(child)
        )

    def _worker_left(self, child: _Child) -> None:
        child.left = True
        self._selector.unregister(child.connection)

    def _notice_ended(self) -> None:
        for child in list(self._children.values()):
            if not child.ended:
                found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is not None:
                    child.ended = True
                    processes.kill_group(child.pid, signal.SIGKILL)
                    with contextlib.suppress(OSError):
                        child.connection.send(NUMBER.pack(_status(found)))
                        child.connection.shutdown(socket.SHUT_WR)  # readable from now on
            if child.ended and child.left:
                os.waitpid(child.pid, 0)
                child.connection.close()
                del self._children[child.pid]

    def _stale(self) -> bool:
        return any(_modified_ns(path) != then for path, then in self._sources.items())


def _status(found: os.waitid_result) -> int:
    """As subprocess has it: negative for a signal."""
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _gone(connection: socket.socket) -> bool:
    """Whether the worker no longer waits for the answer."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def _close_all_but(kept: Collection[int]) -> None:
    # A loop to the highest number that is allowed would take minutes where that is a billion.
    for fd in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if fd not in kept:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(fd)


def load(folders: Sequence[Path]) -> dict[Path, int]:
    """Imports what the handlers in `folders` import. Returns the project's source files with the
    times at which they were changed, in ns."""
    for folder in folders:
        try:
            _import_as(folder / "handler.py")
        except Exception as error:  # noqa: BLE001  its environment will report it
            output.logger().warning("not_loaded", function=folder.name, reason=str(error))
    _share_descriptions()
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    own = [Path(path) for path in loaded if path and Path(path).is_relative_to(ROOT / "services")]
    return {path: _modified_ns(path) for path in own}


def _import_as(handler: Path) -> None:
    """Imports what the file imports, without running the rest of it."""
    for statement in ast.parse(handler.read_bytes()).body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                __import__(alias.name)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            __import__(statement.module, fromlist=[alias.name for alias in statement.names])


def _share_descriptions() -> None:
    """Has every session of botocore use one loader, which keeps the files that it has parsed."""
    import botocore.loaders
    import botocore.session

    loader = botocore.loaders.create_loader()
    for service in _SERVICES:
        for file in _SERVICE_FILES:
            loader.load_service_model(service, file)
    for file in _COMMON_FILES:
        loader.load_data(file)
    botocore.session.create_loader = lambda _path=None: loader


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m services.runtime.template")
    parser.add_argument("--socket", type=int, action="append", required=True, metavar="FD")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    options = parser.parse_args(arguments)
    output.configure_logging(output.level(os.environ))
    sources = load(options.folders)
    # Pages with objects that the collector has marked would be copied in each child.
    gc.collect()
    gc.freeze()
    template = Template([socket.socket(fileno=fd) for fd in options.socket], sources)
    template.run().become()


if __name__ == "__main__":
    main()
