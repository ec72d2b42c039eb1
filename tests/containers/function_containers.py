"""Containers of a function image: under the Runtime Interface Emulator, and as a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.containers.engine import Engine, fetch, running
from tests.support.waiting import eventually

EMULATOR_PORT = 8080
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


class Emulated:
    """A running function image under the Runtime Interface Emulator."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._url = f"http://127.0.0.1:{container.get_exposed_port(EMULATOR_PORT)}{INVOKE_PATH}"
        # The emulator answers 404 to / once it listens; an invocation would start the function.
        eventually(self._listens, "the emulator listens", pause_seconds=0.02)

    def _listens(self) -> bool:
        try:
            fetch(self._url.removesuffix(INVOKE_PATH) + "/", timeout_seconds=2)
        except HTTPError:
            return True
        except OSError:
            return False
        return True

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """The function's result, or the error document of a function that failed to start.

        The emulator handles one call at a time.
        """
        try:
            return json.loads(fetch(self._url, json.dumps(event).encode()))
        except HTTPError as error:
            with error:
                return json.load(error)

    @property
    def image_id(self) -> str:
        return str(self._container.get_wrapped_container().attrs["Image"])

    def logs(self) -> str:
        output: bytes = self._container.get_wrapped_container().logs()
        return output.decode(errors="replace")


@contextmanager
def emulated(
    engine: Engine,
    image: str,
    environment: Mapping[str, str],
    *,
    memory_mib: int,
    cpus: float = 1.0,
    network: Network | None = None,
) -> Iterator[Emulated]:
    """Runs the image as a Lambda function with `cpus`; Lambda gives init one CPU."""
    container = (
        DockerContainer(image)
        .with_command("handler.handler")
        .with_envs(AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(memory_mib), **environment)
        .with_exposed_ports(EMULATOR_PORT)
        .with_kwargs(
            labels=engine.labels, nano_cpus=int(cpus * 1e9), mem_limit=f"{memory_mib + 64}m"
        )
    )
    if network is not None:
        container = container.with_network(network)
    with running(container):
        yield Emulated(container)


class Worker:
    """A running function image as a worker."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container.get_wrapped_container()

    def stop(self, seconds: int = 40) -> int:
        """Runs `docker stop` (SIGTERM, SIGKILL after `seconds`) and returns the exit status."""
        self._container.stop(timeout=seconds)
        return int(self._container.wait()["StatusCode"])

    def kill(self) -> None:
        self._container.kill()

    @property
    def image_id(self) -> str:
        return str(self._container.attrs["Image"])

    @property
    def health(self) -> str:
        self._container.reload()
        return str(self._container.attrs["State"]["Health"]["Status"])

    @property
    def user(self) -> str:
        output: bytes = self._container.exec_run(["id", "-u"]).output
        return output.decode().strip()

    def logs(self) -> str:
        output: bytes = self._container.logs()
        return output.decode(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The JSON log lines of the event."""
        lines = [json.loads(x) for x in self.logs().splitlines() if x.startswith("{")]
        return [line for line in lines if line.get("event") == name]
