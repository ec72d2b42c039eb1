"""The accounts that `darkroom up --samples` makes."""

from __future__ import annotations

from contextlib import closing

import pytest

from services.client.api import Api
from services.local.demo import sample_accounts
from services.local.state import LabState
from tests.integration.api.conftest import forget_attempts

pytestmark = pytest.mark.slow


def test_sample_accounts_have_photos_an_order_and_the_console(lab: LabState) -> None:
    forget_attempts(lab)
    steps: list[str] = []
    made = sample_accounts.create(lab, steps.append)
    assert steps
    with closing(Api(lab.api)) as api:
        api.sign_in(made.customer, made.password)
        assert len(list(api.images())) >= made.photos > 3
        assert made.order_id in {order["id"] for order in api.orders()}
        api.sign_in(made.administrator, made.password)
        assert made.customer in {user["email"] for user in api.users()}
