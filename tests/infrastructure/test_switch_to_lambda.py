"""Switches functions from workers to Lambda and sends a photo and an order through them. MiniStack
pulls the function images from its registry, runs them in Docker under the roles that Terraform
created, and delivers the messages of their queues.

Runs second to last, since it leaves the lab changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from services.build import engine as docker_engine
from services.build import images, push
from services.client.api import Api
from services.local.emulator import LOOPBACK
from tests.containers.engine import Engine
from tests.infrastructure import customer
from tests.infrastructure.conftest import Applied
from tests.infrastructure.customer import mails
from tests.infrastructure.environment import running_functions
from tests.infrastructure.roles import Roles
from tests.infrastructure.terraform import changed

pytestmark = [pytest.mark.slow, pytest.mark.containers]
CUSTOMER = "lambda@darkroom.example"
# The functions of a photo and of a successful order.
ON_LAMBDA = (
    "process-image",
    "send-image-email",
    "validate-order",
    "check-inventory",
    "process-payment",
    "fulfill-order",
    "record-payment",
    "send-order-confirmation",
    "send-payment-receipt",
    "send-order-shipped",
)


@pytest.fixture(scope="module")
def engine(applied: Applied) -> Engine:
    found = Engine.required()
    if applied.environment.address == LOOPBACK:
        pytest.skip(
            "the Docker engine runs on another machine, and its containers do not reach this one"
        )
    return found


@pytest.fixture(scope="module")
def pushed(
    applied: Applied, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The function images, by digest, in the registry that Terraform created."""
    port = applied.environment.cloud.endpoint.rpartition(":")[2]
    registry = f"{LOOPBACK}:{port}"
    folder: Path = tmp_path_factory.mktemp("push")
    with pytest.MonkeyPatch.context() as patch:
        # Keep the login and the digests out of the user's own files.
        patch.setenv("DOCKER_CONFIG", str(folder))
        patch.setattr(push, "DIGESTS_FILE", folder / "images.json")
        _, failed = images.build(
            ON_LAMBDA, base=docker_engine.BASE, wanted=docker_engine.host_platform(), force=False
        )
        assert not failed
        done, failed = push.push(
            ON_LAMBDA, registry=registry, allow_dirty=True, username="AWS", password="unused"
        )
    assert not failed
    yield {image.function: image.reference for image in done}
    for tag in [tag for image in engine.client.images.list() for tag in image.tags]:
        if tag.startswith(f"{registry}/"):
            engine.client.images.remove(tag)


@pytest.fixture(scope="module")
def changed_lab(applied: Applied, pushed: dict[str, str]) -> Applied:
    variables = dict(applied.lab.variables)
    variables["compute"] = {n: c for n, c in variables["compute"].items() if n not in ON_LAMBDA}
    variables["image_digests"] = variables["image_digests"] | pushed
    lab = replace(applied.lab, variables=variables)
    lab.apply()
    return replace(applied, lab=lab, output=lab.output())


def test_second_plan_has_no_changes(changed_lab: Applied) -> None:
    assert changed(changed_lab.lab.plan()) == {}
    assert {f for f, o in changed_lab.output["functions"].items() if o["compute"] == "worker"} == (
        set(changed_lab.output["queues"]) - set(ON_LAMBDA)
    )


def test_photo_is_developed_and_order_is_shipped(
    changed_lab: Applied, engine: Engine, tmp_path: Path
) -> None:
    environment, output = changed_lab.environment, changed_lab.output
    roles = Roles(environment.cloud, output)
    with ExitStack() as stack:
        stack.enter_context(roles.assumable_by_root())
        stack.enter_context(running_functions(environment, output, roles.credentials))
        api = stack.enter_context(closing(Api(environment.api)))
        customer.sign_in(api, environment, CUSTOMER)
        image = customer.develop(api, tmp_path)
        assert image["status"] == "developed"
        order = customer.order(api, image)
        assert [step["status"] for step in order["history"]] == customer.SHIPPED
        number = order["id"][:8]
        # E-mails of earlier tests may still arrive.
        assert sorted(mail.subject for mail in mails(environment, customer.MAILS, CUSTOMER)) == [
            "Confirm your e-mail address",
            "Developed: harbour.jpg",
            f"We have your order {number}",
            f"Your prints are on their way: order {number}",
            f"Your receipt for order {number}",
        ]

        # Each function ran in a container of its image.
        running = {
            c.image.id for c in engine.client.containers.list(filters={"label": "ministack=lambda"})
        }
        for function in ON_LAMBDA:
            reference = changed_lab.lab.variables["image_digests"][function]
            assert engine.client.images.get(reference).id in running, function
