"""The two payment providers as running processes, and a lab's resources."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from services.local import emulator as emulators
from services.local import payment_sandbox
from services.local.aws_session import LocalSession
from services.local.payment_sandbox import PaymentProvider
from services.local.provision import Payments, provision
from services.payments.sandbox_gateway import SandboxGateway
from services.payments.stripe_gateway import StripeGateway
from tests.integration.conftest import Provisioned
from tests.support import localstripe
from tests.support.declarations import lab_topology, manifests
from tests.support.localstripe import LocalStripe
from tests.support.loopback import Received, Reply, Served, serving
from tests.support.waiting import eventually

WEBHOOK_SECRET = "whsec_of_the_lab"
SANDBOX_KEY = "key-of-the-lab"
# The delay of a late response of the sandbox, and the timeout of a client that hits it.
SLOW_SECONDS, TIMEOUT_SECONDS = 1.2, 0.5
CLIENT_TIMEOUT_SECONDS = 10.0


class Inbox:
    """Receives webhooks; refuses the first `refuse` of them."""

    def __init__(self) -> None:
        self.refuse = 0
        self.taken: list[Received] = []

    def respond(self, request: Received) -> Reply:
        if self.refuse > 0:
            self.refuse -= 1
            return Reply(503)
        self.taken.append(request)
        return Reply(200)

    def of(self, order: str) -> list[Received]:
        """The webhooks that name the order."""
        return [request for request in list(self.taken) if order.encode() in request.body]

    def wait_for(self, order: str, count: int) -> list[Received]:
        """The webhooks that name the order, as soon as there are `count`."""
        eventually(lambda: len(self.of(order)) >= count, f"{count} webhooks for {order}")
        return self.of(order)


@pytest.fixture(scope="session")
def inbox_server() -> Iterator[tuple[Served, Inbox]]:
    inbox = Inbox()
    with serving(inbox.respond) as served:
        yield served, inbox


@pytest.fixture
def inbox(inbox_server: tuple[Served, Inbox]) -> Inbox:
    _, inbox = inbox_server
    inbox.refuse = 0
    inbox.taken.clear()
    return inbox


@pytest.fixture(scope="session")
def sandbox(
    tmp_path_factory: pytest.TempPathFactory, inbox_server: tuple[Served, Inbox]
) -> Iterator[PaymentProvider]:
    """One sandbox for all tests; each uses orders of its own."""
    with payment_sandbox.running(
        tmp_path_factory.mktemp("sandbox"),
        api_key=SANDBOX_KEY,
        webhook_secret=WEBHOOK_SECRET,
        webhook_url=inbox_server[0].url,
        slow_seconds=SLOW_SECONDS,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def stripe(
    tmp_path_factory: pytest.TempPathFactory, inbox_server: tuple[Served, Inbox]
) -> Iterator[LocalStripe]:
    """One localstripe for all tests; each uses orders of its own."""
    with localstripe.running(tmp_path_factory.mktemp("localstripe") / "log") as running:
        running.send_webhooks_to(inbox_server[0].url, WEBHOOK_SECRET)
        yield running


@pytest.fixture
def stripe_gateway(stripe: LocalStripe) -> StripeGateway:
    return StripeGateway(localstripe.API_KEY, CLIENT_TIMEOUT_SECONDS, stripe.url)


@pytest.fixture
def sandbox_gateway(sandbox: PaymentProvider) -> SandboxGateway:
    return SandboxGateway(sandbox.url, SANDBOX_KEY, CLIENT_TIMEOUT_SECONDS)


@pytest.fixture(scope="session")
def resources(cloud: emulators.Emulator) -> Provisioned:
    """One lab's resources for all tests; each uses orders of its own."""
    session = LocalSession(cloud.endpoint)
    made = provision(
        session,
        lab_topology(),
        manifests(),
        prefix=f"t{uuid.uuid4().hex[:8]}",
        payments=Payments(SANDBOX_KEY, WEBHOOK_SECRET),
    )
    return Provisioned(session, made)
