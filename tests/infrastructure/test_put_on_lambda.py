"""A photo and an order through functions that Lambda runs from their images: MiniStack pulls them
from its registry, starts them in Docker under the roles that Terraform made, and gives them their
queues' messages. The lab was one of workers until then, and changes under Terraform's hand.

The last of the package's files but for the removal: it leaves the lab changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from services.build import images
from services.client.api import Api
from tests.containers.engine import Engine
from tests.infrastructure import shopping
from tests.infrastructure.conftest import Applied
from tests.infrastructure.ground import LOOPBACK, at_work
from tests.infrastructure.outcome import mails
from tests.infrastructure.roles import Roles
from tests.infrastructure.terraform import changed

pytestmark = [pytest.mark.slow, pytest.mark.containers]
CUSTOMER = "lambda@darkroom.example"
# Those of a photo's way and of an order's that goes well.
PUT = (
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
    if applied.ground.address == LOOPBACK:
        pytest.skip("the engine is of another machine: its containers do not find this one")
    return found


@pytest.fixture(scope="module")
def pushed(
    applied: Applied, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The functions' images, by digest, in the registry that Terraform made."""
    port = applied.ground.cloud.endpoint.rpartition(":")[2]
    registry = f"{LOOPBACK}:{port}"
    folder: Path = tmp_path_factory.mktemp("push")
    with pytest.MonkeyPatch.context() as patch:
        # Neither the login nor the digests are this project's own.
        patch.setenv("DOCKER_CONFIG", str(folder))
        patch.setattr(images, "DIGESTS_FILE", folder / "images.json")
        _, failed = images.build(PUT, base=images.BASE, wanted=images.host_platform(), force=False)
        assert not failed
        done, failed = images.push(
            PUT, registry=registry, allow_dirty=True, username="AWS", password="unused"
        )
    assert not failed
    yield {image.function: image.reference for image in done}
    for tag in [tag for image in engine.client.images.list() for tag in image.tags]:
        if tag.startswith(f"{registry}/"):
            engine.client.images.remove(tag)


@pytest.fixture(scope="module")
def changed_lab(applied: Applied, pushed: dict[str, str]) -> Applied:
    variables = dict(applied.lab.variables)
    variables["compute"] = {n: c for n, c in variables["compute"].items() if n not in PUT}
    variables["image_digests"] = variables["image_digests"] | pushed
    lab = replace(applied.lab, variables=variables)
    lab.apply()
    return replace(applied, lab=lab, output=lab.output())


def test_terraform_finds_it_as_it_left_it(changed_lab: Applied) -> None:
    assert changed(changed_lab.lab.plan()) == {}
    assert {f for f, o in changed_lab.output["functions"].items() if o["compute"] == "worker"} == (
        set(changed_lab.output["queues"]) - set(PUT)
    )


def test_a_photo_is_developed_and_an_order_of_it_shipped(
    changed_lab: Applied, engine: Engine, tmp_path: Path
) -> None:
    ground, output = changed_lab.ground, changed_lab.output
    roles = Roles(ground.cloud, output)
    with ExitStack() as stack:
        stack.enter_context(roles.standing_in())
        stack.enter_context(at_work(ground, output, roles.credentials))
        api = stack.enter_context(closing(Api(ground.api)))
        shopping.sign_in(api, CUSTOMER)
        image = shopping.develop(api, tmp_path)
        assert image["status"] == "developed"
        order = shopping.order(api, image)
        assert [step["status"] for step in order["history"]] == shopping.SHIPPED
        number = order["id"][:8]
        # Others, of the tests before, may still be on their way.
        assert sorted(mail.subject for mail in mails(ground, shopping.MAILS, CUSTOMER)) == [
            "Developed: harbour.jpg",
            f"We have your order {number}",
            f"Your prints are on their way: order {number}",
            f"Your receipt for order {number}",
        ]

        # No other than a container of each can have done it.
        running = {
            c.image.id for c in engine.client.containers.list(filters={"label": "ministack=lambda"})
        }
        for function in PUT:
            reference = changed_lab.lab.variables["image_digests"][function]
            assert engine.client.images.get(reference).id in running, function
