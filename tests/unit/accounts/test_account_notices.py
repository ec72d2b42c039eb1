"""Functions that seldom send a notice make its client at the first one."""

from __future__ import annotations

import importlib.util
import os
from typing import Any
from unittest.mock import patch

import pytest

from services.accounts.account_notices import AccountNotices
from services.build.openapi import placeholder_environment
from services.events.accounts import AccountEventType
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.aws import clients

FUNCTIONS = sorted(
    path.parent.name
    for path in (PROJECT / "images").glob("*/handler.py")
    if "AccountNotices(" in path.read_text(encoding="utf-8")
)


def test_some_functions_send_notices() -> None:
    assert "open-session" in FUNCTIONS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_initialization_makes_no_client_of_sns(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def record(service: str, attempts: int = 3) -> object:
        made.append(service)
        return object()

    monkeypatch.setattr(clients, "client", record)
    folder = PROJECT / "images" / function
    spec = importlib.util.spec_from_file_location("handler_without_sns", folder / "handler.py")
    assert spec
    assert spec.loader
    with patch.dict(os.environ, placeholder_environment(manifest.load(folder))):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert "dynamodb" in made
    assert "sns" not in made


def test_send_publishes_with_the_client_that_it_makes() -> None:
    published: list[dict[str, Any]] = []

    class Sns:
        def publish(self, **arguments: Any) -> None:
            published.append(arguments)

    notices = AccountNotices(Sns, "arn:aws:sns:eu-central-1:000000000000:account-events")
    notices.send(AccountEventType.PASSWORD_CHANGED, "ada@example.com")
    assert [one["TopicArn"] for one in published] == [notices.topic_arn]
