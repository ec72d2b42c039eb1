"""Charging with the emulator's table and running providers: concurrent workers and lost or late
responses charge an order once, and every worker gets the same result."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from services.local.payment_sandbox import Method, PaymentProvider
from services.payments.charging import Charging
from services.payments.model import Charge, PaymentDeclined, PaymentGateway, PaymentVoided
from services.payments.sandbox_gateway import SandboxGateway
from services.payments.stripe_gateway import StripeGateway
from services.platform.errors import TransientError
from services.platform.idempotency import IdempotencyStore
from tests.integration.conftest import Provisioned
from tests.integration.payments.conftest import SANDBOX_KEY, TIMEOUT_SECONDS
from tests.support.charging_machine import ChargingMachine
from tests.support.exactly_once import Simulation
from tests.support.localstripe import API_KEY, DECLINED, LocalStripe
from tests.support.loopback import Wire, serving
from tests.support.waiting import scaled

AMOUNT = 1995
WORKERS = 6
# Shorter than a late response: an owner outlives its lease while it waits.
LEASE_SECONDS, LATE_SECONDS = 0.6, 1.2
RESULT_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Provider:
    """A provider, and the faults of the connection to it."""

    gateway: PaymentGateway
    wire: Wire
    good: str
    declined: str
    balance: Callable[[str], tuple[int, int]]
    """Order id to its numbers of charges and refunds at the provider."""


@pytest.fixture(params=["sandbox", "stripe"])
def provider(
    request: pytest.FixtureRequest, sandbox: PaymentProvider, stripe: LocalStripe
) -> Iterator[Provider]:
    with ExitStack() as stack:
        if request.param == "sandbox":
            wire = Wire(sandbox.url, LATE_SECONDS)
            line = stack.enter_context(serving(wire.respond))

            def of_sandbox(order: str) -> tuple[int, int]:
                book = sandbox.payments(order)
                charged = [one for one in book if one["status"] == "charged"]
                return len(charged), sum(one["refund_id"] is not None for one in charged)

            yield Provider(
                SandboxGateway(line.url, SANDBOX_KEY, TIMEOUT_SECONDS),
                wire, Method.OK.value, Method.DECLINED.value, of_sandbox,
            )  # fmt: skip
        else:
            wire = Wire(stripe.url, LATE_SECONDS)
            line = stack.enter_context(serving(wire.respond))

            def of_stripe(order: str) -> tuple[int, int]:
                charged = [one for one in stripe.intents(order) if one.status == "succeeded"]
                return len(charged), sum(len(stripe.refunds(one.id)) for one in charged)

            yield Provider(
                StripeGateway(API_KEY, TIMEOUT_SECONDS, line.url),
                wire, stripe.card(), stripe.card(DECLINED), of_stripe,
            )  # fmt: skip


@pytest.fixture
def charging(provider: Provider, resources: Provisioned) -> Charging:
    return Charging(
        provider.gateway,
        IdempotencyStore(
            resources.session.client("dynamodb"),
            resources.lab.table("idempotency"),
            LEASE_SECONDS,
            keep_seconds=3600,
        ),
    )


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


def settled(ask: Callable[[], Any]) -> Any:
    """The final result of `ask`, repeated as a queue redelivers."""
    give_up_at = time.monotonic() + scaled(RESULT_TIMEOUT_SECONDS)
    while True:
        try:
            return ask()
        except (PaymentDeclined, PaymentVoided) as error:
            return type(error).__name__
        except TransientError:
            assert time.monotonic() < give_up_at, "no final result in time"
            time.sleep(0.05)


def at_once(asks: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(settled, asks))


FAULTS = pytest.mark.parametrize(
    ("ends", "faults"),
    [
        ("", []),
        ("", ["lost", "late", "none", "lost", "late"]),
        ("/confirm", ["late", "late"]),
        ("/confirm", ["lost", "late"]),
    ],
    ids=["nothing", "anything", "late", "lost"],
)


@FAULTS
def test_charge_concurrent_workers_charge_once(
    provider: Provider, charging: Charging, order: str, ends: str, faults: list[str]
) -> None:
    provider.wire.ends, provider.wire.faults = ends, list(faults)
    results = at_once([lambda: charging.charge(order, AMOUNT, "EUR", provider.good)] * WORKERS)
    assert isinstance(results[0], Charge)
    assert results == [results[0]] * WORKERS
    assert provider.wire.faults == []
    # Late requests arrive.
    time.sleep(LATE_SECONDS / 2 if faults else 0)
    assert provider.balance(order) == (1, 0)


@pytest.mark.parametrize("faults", [[], ["lost", "none", "late", "lost"]])
def test_charge_concurrent_workers_get_the_same_decline(
    provider: Provider, charging: Charging, order: str, faults: list[str]
) -> None:
    provider.wire.faults = list(faults)
    results = at_once([lambda: charging.charge(order, AMOUNT, "EUR", provider.declined)] * WORKERS)
    assert results == ["PaymentDeclined"] * WORKERS
    assert provider.balance(order) == (0, 0)


@FAULTS
def test_void_concurrent_with_charge_leaves_nothing_charged(
    provider: Provider, charging: Charging, order: str, ends: str, faults: list[str]
) -> None:
    provider.wire.ends, provider.wire.faults = ends, list(faults)
    charge: Callable[[], Any] = lambda: charging.charge(  # noqa: E731
        order, AMOUNT, "EUR", provider.good
    )
    void: Callable[[], Any] = lambda: charging.void(order)  # noqa: E731
    results = at_once([charge, void, charge, charge, void, charge])
    charges, voids = [results[0], results[2], results[3], results[5]], [results[1], results[4]]
    assert charges == [charges[0]] * 4
    assert voids == [voids[0]] * 2
    charged = isinstance(charges[0], Charge)
    assert charged == (voids[0] is not None)
    assert provider.balance(order) == (int(charged), int(charged))


def test_charge_concurrent_orders_are_independent(
    provider: Provider, charging: Charging, order: str
) -> None:
    orders = [f"{order}-{n}" for n in range(12)]

    def ask(one: str) -> Callable[[], Any]:
        return lambda: charging.charge(one, AMOUNT, "EUR", provider.good)

    results = at_once([ask(one) for one in orders for _ in range(2)])
    assert len({charge.payment_id for charge in results}) == len(orders)
    assert [provider.balance(one) for one in orders] == [(1, 0)] * len(orders)


def test_charging_machine_on_the_emulators_table(resources: Provisioned) -> None:
    """The property tests must not pass because of their in-memory table."""
    client, name = resources.session.client("dynamodb"), resources.lab.table("idempotency")

    class OnTheEmulator(ChargingMachine):
        make_simulation = staticmethod(lambda: Simulation(table=client, table_name=name))

        def __init__(self) -> None:
            super().__init__()
            # All examples share one table.
            self.order_id = str(uuid.uuid4())

    run_state_machine_as_test(
        OnTheEmulator,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
