"""Generated requests: every response matches the OpenAPI document (schemathesis, bounded)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.accounts.model import Role
from services.build import openapi
from services.local.state import LabState
from tests.integration.api.conftest import Customer, forget_attempts
from tests.support.waiting import HTTP_SECONDS, scaled

EXAMPLES = 40  # an operation
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
# close-session ends the session that the other operations need; test_authorization.py covers it.
schema = schemathesis.openapi.from_dict(openapi.document()).exclude(operation_id="close-session")


@pytest.fixture(scope="module")
def administrator(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer(Role.ADMINISTRATOR)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_openapi_every_response_matches_the_document(
    case: schemathesis.Case[Any], lab: LabState, administrator: Customer
) -> None:
    forget_attempts(lab)
    case.call_and_validate(
        base_url=lab.api,
        headers={"authorization": f"Bearer {administrator.api.token}"},
        checks=CHECKS,
        timeout=scaled(HTTP_SECONDS),
    )


def test_openapi_document_is_served(lab: LabState) -> None:
    answer = httpx.get(f"{lab.api}/openapi.json")
    assert answer.json() == openapi.document()
    again = httpx.get(f"{lab.api}/openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
