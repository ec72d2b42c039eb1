"""A running lab with short retry delays, a signed-in customer and a photo; access to its processes,
payments, stock and e-mails."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from services.client.api import Api
from services.local import lab as labs
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.parts import TEMPLATE, WORKER
from services.local.state import LabFiles, LabState
from services.orders.model import Product, StockLevel
from services.orders.products import Products
from tests.support.accounts import signed_in
from tests.support.photos import jpeg, scene
from tests.support.waiting import STEP_SECONDS, eventually

PASSWORD = "correct horse battery staple"
DELIVERY = {
    "name": "Anna Muster",
    "line1": "Hafenstr. 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}
SHORT_DELAYS = {
    "WORKER_BACKOFF_BASE_SECONDS": "1",
    "WORKER_VISIBILITY_SECONDS": "5",
    "PAYMENTS_TIMEOUT_SECONDS": "2",
    # Covers two requests, and ends before a killed worker's message exceeds its receive count.
    "PAYMENTS_LEASE_SECONDS": "5",
    "MAIL_LEASE_SECONDS": "20",
}
# Enough pixels for a small print at 300 dpi, and too few for a poster.
PHOTO_SIZE = (1200, 900)
SMALL_MM, POSTER_MM = (30, 40), (300, 400)
PRICE_MINOR = 250


@dataclass(frozen=True)
class Payment:
    """The payments of an order at the provider; `kept` is the charged amount without refunds."""

    charged: int
    kept: int
    payments: int


@dataclass(frozen=True)
class OrderLab:
    """A running lab with a signed-in customer and a photo."""

    root: Path
    api_url: str
    token: str
    email: str
    image_id: str

    @property
    def state(self) -> LabState:
        found = labs.running(self.root)
        assert found is not None, "the lab is gone"
        return found

    def api(self) -> Api:
        """A new client; threads must not share one."""
        return Api(self.api_url, self.token)

    def product(self, stock: int, size_mm: tuple[int, int] = SMALL_MM) -> str:
        """Creates a product with `stock` prints and returns its id."""
        product_id = f"t-{uuid.uuid4().hex[:12]}"
        with closing(self.state.database()) as database:
            Products(database).offer(
                Product(product_id, "Test print", "matte", *size_mm, PRICE_MINOR, "EUR"), stock
            )
        return product_id

    def stock(self, product_id: str) -> StockLevel:
        with closing(self.state.database()) as database:
            return Products(database).stock_levels()[product_id]

    def line(self, product_id: str, quantity: int = 1, image_id: str = "") -> dict[str, Any]:
        return {
            "product_id": product_id,
            "image_id": image_id or self.image_id,
            "quantity": quantity,
        }

    def payment(self, order_id: str) -> Payment:
        """The order's payments at the provider."""
        with closing(sqlite3.connect(LabFiles(self.root).payments)) as ledger:
            rows = ledger.execute(
                "SELECT status, amount_minor, refund_id FROM payments WHERE order_id = ?",
                [order_id],
            ).fetchall()
        charged = [row for row in rows if row[0] == "charged"]
        kept = sum(amount for _, amount, refund in charged if refund is None)
        return Payment(len(charged), kept, len(rows))

    def mails(self, order_id: str) -> list[str]:
        """The subjects of the order's e-mails without its number, oldest first."""
        number = order_id[:8]
        return [
            mail.subject.replace(f" {number}", "")
            for mail in sent_mails(LabFiles(self.root).mail)
            if number in mail.subject
        ]

    def processes(self, name: str) -> list[psutil.Process]:
        """A supervised process, its descendants, and the execution environments that were forked
        for it; none while it is being restarted."""
        children = {child.name: child.pid for child in self.state.children}
        assert name in children, f"{name} is none of {sorted(children)}"
        try:
            process = psutil.Process(children[name])
            found = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        plan = LabFiles(self.root).plan(name)
        if TEMPLATE not in children or not plan.exists():
            return found
        hosted = {Path(one["folder"]) for one in json.loads(plan.read_text())["functions"]}
        with suppress(psutil.NoSuchProcess):
            forked = psutil.Process(children[TEMPLATE]).children(recursive=True)
            found += [one for one in forked if _folder(one) in hosted]
        return found

    def environments(self, function: str) -> list[psutil.Process]:
        """The execution environments of a function in the worker host."""
        return [one for one in self.processes(WORKER) if _folder(one).name == function]

    def kill(self, name: str) -> None:
        """Kills a supervised process and its descendants with SIGKILL."""
        kill(self.processes(name))


def _folder(process: psutil.Process) -> Path:
    """Where the process works: an environment in its function's folder."""
    try:
        return Path(process.cwd())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return Path()


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kills processes with SIGKILL; returns how many of them lived."""
    killed = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            killed += 1
    return killed


@contextmanager
def order_lab(root: Path, options: LabOptions | None = None) -> Iterator[OrderLab]:
    """Starts a lab in `root`, with a signed-in customer and a photo, for a `with` block."""
    with patch.dict(os.environ, SHORT_DELAYS):
        state = labs.up(root, options or LabOptions())
    try:
        with closing(Api(state.api)) as api:
            email = "orders@darkroom.example"
            signed_in(api, state.database(), email, "Anna Muster", PASSWORD)
            photo = root / "photo.jpg"
            photo.write_bytes(jpeg(scene(*PHOTO_SIZE)))
            image = api.developed(api.upload(photo))
            assert api.token is not None
            yield OrderLab(root, state.api, api.token, email, image["id"])
    finally:
        labs.down(root)


def await_empty(lab: OrderLab, seconds: float = STEP_SECONDS) -> None:
    """Waits until no queue has a message: waiting, delayed or in flight."""
    sqs, queues = lab.state.session.client("sqs"), lab.state.queues
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "Delayed", "NotVisible")]

    def empty(url: str) -> bool:
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return not any(int(got[name]) for name in names)

    for function, queue in queues.items():
        url = queue.url
        eventually(lambda url=url: empty(url), f"an empty queue of {function}", seconds)  # type: ignore[misc]
