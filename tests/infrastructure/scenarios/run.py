"""A running lab, and one run of a scenario on it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.client.api import Api
from services.events.orders import OrderEventType, order_event, publish
from services.local.parts import INIT_SECONDS
from services.orders.model import Product
from services.platform.database import Database
from services.runtime.execution import Environment, Outcome
from services.runtime.function import Function
from tests.infrastructure import customer
from tests.infrastructure.environment import LabEnvironment, manifests
from tests.infrastructure.roles import Grant, Roles
from tests.support.photos import jpeg, scene
from tests.support.waiting import scaled

PRODUCT = "print-10x15-glossy"
# Its stock is 0.
SCARCE = Product("print-9x13-glossy", "Print 9 x 13 cm", "glossy", 90, 130, 29, "EUR")
POLL_SECONDS = 0.1


class ScenarioStoppedError(Exception):
    """The run was stopped: the failure that it was to cause has been observed."""


class LinkRefusedError(Exception):
    """S3 refused a presigned link or form: the role that signed it lacks the permission."""


class InvocationFailedError(Exception):
    """A function that was invoked directly failed."""


@dataclass(frozen=True)
class RunningLab:
    """A lab whose functions run, with a signed-in customer and a developed photo of theirs."""

    environment: LabEnvironment
    output: dict[str, Any]
    roles: Roles
    database: Database
    restart: Callable[[str], None]
    api: Api
    photo: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.environment.cloud.client(service)


@dataclass
class ScenarioRun:
    """One run of a scenario without one grant (None: with all grants)."""

    lab: RunningLab
    grant: Grant | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    seconds: float = 60

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        """Waits until `condition` returns a true value, and returns it.

        Raises ScenarioStoppedError after `stop`, and AssertionError after `seconds`.
        """
        give_up_at = time.monotonic() + scaled(self.seconds)
        while not (found := condition()):
            if self.stop.wait(POLL_SECONDS):
                raise ScenarioStoppedError
            assert time.monotonic() < give_up_at, f"timed out waiting for {what}"
        return found

    @property
    def api(self) -> Api:
        return self.lab.api

    # -- photos

    def upload(self, folder: Path) -> dict[str, Any]:
        """Uploads a new photo and waits until it is developed."""
        upload = self.api.upload(new_photo(folder))
        image: dict[str, Any] = self.until(
            "a developed photo",
            lambda: (i := self.api.image_of(upload)) and i["status"] == "developed" and i,
        )
        return image | {"upload": upload}

    # -- orders

    def order(self, method: str = "sandbox-ok", product: str = PRODUCT, quantity: int = 1,
              image_id: str | None = None) -> str:  # fmt: skip
        line = {
            "product_id": product,
            "image_id": image_id or self.lab.photo["id"],
            "quantity": quantity,
        }
        return str(self.api.order([line], method, customer.DELIVERY)["id"])

    def await_status(self, order_id: str, *statuses: str) -> None:
        self.until(
            f"order {order_id} {' or '.join(statuses)}",
            lambda: self.api.order_of(order_id)["status"] in statuses,
        )

    def publish_event(self, kind: OrderEventType, order_id: str, **facts: Any) -> None:
        """Publishes an event of an order to the topic `order-events`."""
        topic = self.lab.output["topics"]["order-events"]
        publish(self.lab.client("sns"), topic, order_event(kind, order_id, **facts))

    @contextmanager
    def blocked(self, function: str, action: str, sid: str | None = None) -> Iterator[None]:
        """Takes a grant from a function, which then fails and retries, for a `with` block."""
        grant = self.lab.roles.grant(function, action, sid)
        with self.lab.roles.without(grant):
            self.lab.restart(function)
            yield
        if action.startswith("secretsmanager:"):
            self.lab.restart(function)

    @contextmanager
    def printing_blocked(self) -> Iterator[None]:
        with self.blocked("fulfill-order", "s3:PutObject"):
            yield


Scenario = Callable[[ScenarioRun, Path], None]


def new_photo(folder: Path) -> Path:
    seed = uuid.uuid4().int % 2**31
    photo = folder / f"{seed}.jpg"
    photo.write_bytes(jpeg(scene(1200, 900, seed=seed)))
    return photo


def invoke(run: ScenarioRun, name: str, event: Mapping[str, object]) -> None:
    """Invokes a function with its own role. Raises InvocationFailedError."""
    (item,) = [m for m in manifests() if m.name == name]
    function = Function(
        name=item.name, folder=item.folder, memory_mib=item.memory_mib,
        timeout_seconds=item.timeout_seconds, arn=run.lab.output["functions"][item.name]["name"],
        init_seconds=INIT_SECONDS,
        variables={
            **run.lab.environment.cloud.variables,
            **run.lab.output["functions"][item.name]["environment"],
            **run.lab.roles.credentials(item.name),
        },
    )  # fmt: skip
    environment = Environment(function)
    environment.start()
    try:
        assert environment.ready()
        done = environment.invoke(json.dumps(event).encode())
    finally:
        environment.close()
    if done.outcome is not Outcome.SUCCESS:
        raise InvocationFailedError(done.error_message)
