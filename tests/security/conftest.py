"""An embedded lab under attack, and its customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from services.local.state import LabState
from tests.integration.api.conftest import Customer as Customer
from tests.integration.api.conftest import new_customer as new_customer
from tests.integration.api.conftest import photo as photo
from tests.integration.conftest import lab as lab
from tests.support.waiting import HTTP_SECONDS, scaled


class Attacker:
    """Sends requests of any kind to the API."""

    def __init__(self, lab: LabState) -> None:
        self.url = lab.api

    def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Sends a request, with the token of a session if given."""
        bearer = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.request(
            method,
            self.url + path,
            headers={**bearer, **(headers or {})},
            timeout=scaled(HTTP_SECONDS),
            **options,
        )


@pytest.fixture(scope="module")
def attacker(lab: LabState) -> Attacker:
    return Attacker(lab)
