"""Timeouts that depend on each other: requests, invocations, leases, retries and records."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from services.local.provision.sqs import DEAD_LETTER_RETENTION_SECONDS, RETENTION_SECONDS
from services.payments.configuration import PaymentsConfiguration
from services.payments.factory import ChargingConfiguration
from services.payments.webhooks import TOLERANCE_SECONDS
from services.platform import manifest
from services.platform.configuration import read

ROOT = Path(__file__).resolve().parents[3]
# https://docs.stripe.com/webhooks#retries
WEBHOOK_RETRIES_SECONDS = 3 * 24 * 3600
OF_CHARGING = read(ChargingConfiguration, {"IDEMPOTENCY_TABLE": "table"})
CHARGING = ["process-payment", "record-payment", "fail-order"]


def defaults(function: str) -> dict[str, float]:
    """Variable name to default of the variables that a handler reads."""
    source = (ROOT / "images" / function / "handler.py").read_text(encoding="utf-8")
    found: dict[str, float] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "variable":
            for keyword in node.keywords:
                if keyword.arg == "default":
                    name: Any = node.args[0]
                    value = compile(ast.Expression(keyword.value), function, "eval")
                    found[name.value] = eval(value, {})  # noqa: S307  our own constant
    return found


def declared(function: str) -> manifest.Manifest:
    return manifest.load(ROOT / "images" / function)


@pytest.mark.parametrize("function", CHARGING)
def test_payment_lease_exceeds_the_function_timeout(function: str) -> None:
    assert declared(function).timeout_seconds < OF_CHARGING.lease_seconds
    # So does the time of the two requests of a charge.
    request = read(PaymentsConfiguration, {"PAYMENTS_SECRET_ARN": "arn"}).timeout_seconds
    assert 2 * request < declared(function).timeout_seconds


def test_webhook_lease_exceeds_the_function_timeout() -> None:
    lease = defaults("receive-payment")["NOTICES_LEASE_SECONDS"]
    assert declared("receive-payment").timeout_seconds < lease


def test_charge_records_outlive_all_retries() -> None:
    text = (ROOT / "terraform" / "lab" / "order-workflow.asl.json").read_text(encoding="utf-8")
    states = json.loads(text)["States"].values()
    workflow = sum(state.get("TimeoutSeconds", 0) for state in states)
    # A message waits, becomes a dead letter, waits again and is replayed, twice.
    waiting = 2 * (RETENTION_SECONDS + DEAD_LETTER_RETENTION_SECONDS)
    assert OF_CHARGING.keep_seconds > workflow + waiting


def test_webhook_records_outlive_the_providers_retries() -> None:
    keep = defaults("receive-payment")["NOTICES_KEEP_SECONDS"]
    assert keep > 2 * WEBHOOK_RETRIES_SECONDS
    # Older webhooks are refused for their age.
    assert keep > 2 * TOLERANCE_SECONDS
