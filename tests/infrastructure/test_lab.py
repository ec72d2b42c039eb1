"""The applied lab works, and a second plan has no changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.client.api import Api
from tests.infrastructure import customer
from tests.infrastructure.conftest import Applied
from tests.infrastructure.customer import assert_no_dead_letters, mails
from tests.infrastructure.environment import API_KEY, WEBHOOK_SECRET, running_functions
from tests.infrastructure.terraform import changed

pytestmark = pytest.mark.slow


def test_second_plan_has_no_changes(applied: Applied) -> None:
    assert changed(applied.lab.plan()) == {}
    assert changed(applied.registry.plan()) == {}


def test_state_contains_no_secret(applied: Applied) -> None:
    state = applied.lab.state()
    assert applied.output["queues"]["process-image"]["url"] in state
    for secret in (API_KEY, WEBHOOK_SECRET, applied.environment.postgres.password):
        assert secret not in state


def test_plan_contains_no_secret(applied: Applied) -> None:
    plan = str(applied.lab.plan(refresh=False, payments_secret_version=2))
    assert "payments_secret_version" in plan
    assert API_KEY not in plan
    assert applied.environment.postgres.password not in plan


@pytest.fixture(scope="module")
def api(applied: Applied) -> Iterator[Api]:
    """A client with a signed-in customer, while workers and gateway run."""
    with (
        running_functions(applied.environment, applied.output),
        closing(Api(applied.environment.api)) as client,
    ):
        customer.sign_in(client, applied.environment)
        yield client


def test_photo_is_developed_and_order_is_shipped(
    applied: Applied, api: Api, tmp_path: Path
) -> None:
    image = customer.develop(api, tmp_path)
    assert image["status"] == "developed"
    assert [mail.subject for mail in mails(applied.environment, 2)][1:] == [
        "Developed: harbour.jpg"
    ]

    order = customer.order(api, image)
    assert [step["status"] for step in order["history"]] == customer.SHIPPED
    assert len(mails(applied.environment, customer.MAILS)) == customer.MAILS
    prints = applied.environment.cloud.client("s3").list_objects_v2(
        Bucket=applied.output["buckets"]["prints"]
    )
    assert [item for item in prints["Contents"] if order["id"] in item["Key"]]


def test_dead_letter_queues_are_empty_afterwards(applied: Applied, api: Api) -> None:
    assert_no_dead_letters(applied.environment, applied.output)
