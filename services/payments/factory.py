"""Charging as a function's environment describes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.payments.charging import Charging
from services.payments.configuration import LazyGateway, PaymentsConfiguration
from services.platform.configuration import variable
from services.platform.idempotency import IdempotencyStore


@dataclass(frozen=True)
class ChargingConfiguration:
    """How it is kept what was charged."""

    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("PAYMENTS_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than an order may take, with all that can go wrong.
    keep_seconds: float = variable("PAYMENTS_KEEP_SECONDS", default=90 * 24 * 3600.0, minimum=60)


def lazy_charging(
    configuration: ChargingConfiguration,
    payments: PaymentsConfiguration,
    dynamodb: Any,
    secrets: Any,
) -> Callable[[], Charging]:
    """Gives Charging through clients of DynamoDB and Secrets Manager; the provider's secret and SDK
    are fetched at the first call, which raises as `LazyGateway.get` does."""
    claims = IdempotencyStore(
        dynamodb,
        configuration.idempotency_table,
        configuration.lease_seconds,
        configuration.keep_seconds,
    )
    gateway = LazyGateway(payments, secrets)
    return lambda: Charging(gateway.get(), claims)
