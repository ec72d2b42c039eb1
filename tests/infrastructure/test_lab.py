"""The lab as Terraform made it works, and Terraform finds it as it left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.client.api import Api
from tests.infrastructure import shopping
from tests.infrastructure.conftest import Applied
from tests.infrastructure.ground import API_KEY, WEBHOOK_SECRET, at_work
from tests.infrastructure.outcome import mails, no_dead_letters
from tests.infrastructure.terraform import changed

pytestmark = pytest.mark.slow


def test_a_second_plan_changes_nothing(applied: Applied) -> None:
    assert changed(applied.lab.plan()) == {}
    assert changed(applied.registry.plan()) == {}


def test_no_secret_is_in_the_state(applied: Applied) -> None:
    state = applied.lab.state()
    assert applied.output["queues"]["process-image"]["url"] in state
    for secret in (API_KEY, WEBHOOK_SECRET, applied.ground.postgres.password):
        assert secret not in state


def test_no_secret_is_in_a_plan(applied: Applied) -> None:
    plan = str(applied.lab.plan(refresh=False, payments_secret_version=2))
    assert "payments_secret_version" in plan
    assert API_KEY not in plan
    assert applied.ground.postgres.password not in plan


@pytest.fixture(scope="module")
def customer(applied: Applied) -> Iterator[Api]:
    """A signed-in customer of the lab, with its workers and its API running."""
    with at_work(applied.ground, applied.output), closing(Api(applied.ground.api)) as api:
        shopping.sign_in(api)
        yield api


def test_a_photo_is_developed_and_an_order_of_it_shipped(
    applied: Applied, customer: Api, tmp_path: Path
) -> None:
    image = shopping.develop(customer, tmp_path)
    assert image["status"] == "developed"
    assert [mail.subject for mail in mails(applied.ground, 1)] == ["Developed: harbour.jpg"]

    order = shopping.order(customer, image)
    assert [step["status"] for step in order["history"]] == shopping.SHIPPED
    assert len(mails(applied.ground, shopping.MAILS)) == shopping.MAILS
    prints = applied.ground.cloud.client("s3").list_objects_v2(
        Bucket=applied.output["buckets"]["prints"]
    )
    assert [item for item in prints["Contents"] if order["id"] in item["Key"]]


def test_nothing_was_left_in_a_dead_letter_queue(applied: Applied, customer: Api) -> None:
    no_dead_letters(applied.ground, applied.output)
