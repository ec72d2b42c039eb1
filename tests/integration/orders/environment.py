"""Orders, customers and products in a database, and the AWS resources of the order functions."""

from __future__ import annotations

import functools
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.accounts.users import Users
from services.events.orders import OrderEvent, parse_order_event
from services.local.aws_session import LocalSession
from services.orders.model import (
    Delivery,
    NewLine,
    NewOrder,
    Order,
    OrderStatus,
    Product,
    StockLevel,
)
from services.orders.products import Products
from services.orders.store import Orders
from services.payments.charging import Charging
from services.platform.database import Database
from services.platform.idempotency import IdempotencyStore
from tests.support.exactly_once import Provider
from tests.support.postgres import FreshDatabase

PRICE_MINOR = 250
DELIVERY = Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE")
IMAGE_ID = "0" * 31 + "1"
# Status to the transitions that lead to it.
PATHS = {
    OrderStatus.CREATED: (),
    OrderStatus.VALIDATED: (OrderStatus.VALIDATED,),
    OrderStatus.RESERVED: (OrderStatus.VALIDATED, OrderStatus.RESERVED),
    OrderStatus.PAID: (OrderStatus.VALIDATED, OrderStatus.RESERVED, OrderStatus.PAID),
}
PATHS |= {
    OrderStatus.FULFILLED: (*PATHS[OrderStatus.PAID], OrderStatus.FULFILLED),
    OrderStatus.SHIPPED: (*PATHS[OrderStatus.PAID], OrderStatus.FULFILLED, OrderStatus.SHIPPED),
    OrderStatus.REJECTED: (OrderStatus.REJECTED,),
    OrderStatus.OUT_OF_STOCK: (OrderStatus.VALIDATED, OrderStatus.OUT_OF_STOCK),
    OrderStatus.PAYMENT_DECLINED: (*PATHS[OrderStatus.RESERVED], OrderStatus.PAYMENT_DECLINED),
    OrderStatus.CANCELLED: (*PATHS[OrderStatus.PAID], OrderStatus.CANCELLED),
    OrderStatus.FAILED: (*PATHS[OrderStatus.PAID], OrderStatus.FAILED),
}


@dataclass
class OrderFactory:
    """Creates users, products and orders, and opens database connections."""

    fresh: FreshDatabase
    opened: list[Database] = field(default_factory=list)

    def orders(self) -> Orders:
        """An order store with a connection of its own; threads must not share one."""
        self.opened.append(self.fresh.database())
        return Orders(self.opened[-1])

    def user(self) -> str:
        database = self.fresh.database()
        try:
            return Users(database).create(f"{uuid.uuid4().hex}@darkroom.example", "Anna", "hash").id
        finally:
            database.close()

    @functools.cached_property
    def default_user(self) -> str:
        """The user of orders whose customer does not matter."""
        return self.user()

    def product(self, orders: Orders, stock: int = 10, **changes: Any) -> str:
        product_id = f"t-{uuid.uuid4().hex[:12]}"
        values: dict[str, Any] = {"price_minor": PRICE_MINOR, "currency": "EUR"} | changes
        Products(orders.database).offer(
            Product(product_id, "Test print", "matte", 100, 150, **values), stock
        )
        return product_id

    def new(self, user_id: str, *lines: tuple[str, int], **changes: Any) -> NewOrder:
        """A new order; each line is (product, quantity)."""
        values: dict[str, Any] = {
            "user_id": user_id,
            "recipient": "anna@darkroom.example",
            "lines": tuple(NewLine(product, IMAGE_ID, quantity) for product, quantity in lines),
            "payment_method": "sandbox-ok",
            "delivery": DELIVERY,
        }
        return NewOrder(**values | changes)

    def order_at(
        self, orders: Orders, status: OrderStatus, *lines: tuple[str, int], user_id: str = ""
    ) -> Order:
        """An order that was moved to `status`."""
        order = orders.create(self.new(user_id or self.default_user, *lines))
        for step in PATHS[status]:
            order = orders.advance(order.id, step)
        return order

    def held(self, orders: Orders, product_id: str) -> Mapping[str, int]:
        """The number of prints of the product in each reservation state."""
        with orders.database.transaction() as cursor:
            cursor.execute(
                "SELECT state, sum(quantity)::integer FROM reservations WHERE product_id = %s "
                "GROUP BY state",
                [product_id],
            )
            return Counter(dict(cursor.fetchall()))

    def assert_balanced(self, orders: Orders, product_id: str, start: int) -> StockLevel:
        """Checks the stock against the reservations and the deliveries, and returns it."""
        level = Products(orders.database).stock_levels()[product_id]
        held = self.held(orders, product_id)
        assert level.on_hand + level.sold == start
        assert (level.reserved, level.sold) == (held["reserved"], held["sold"])
        assert level.available == start - held["sold"] - held["reserved"] >= 0
        return level


@dataclass
class OrderResources:
    """The resources of orders: a topic with a subscribed queue, a fake payment provider, an
    idempotency table, a prints bucket and a table of recipients of e-mails."""

    session: LocalSession
    topic_arn: str
    queue_url: str
    table: str
    prints_bucket: str
    recipients_table: str
    provider: Provider = field(default_factory=lambda: Provider(time.time))

    @property
    def s3(self) -> Any:
        return self.session.client("s3")

    @property
    def sns(self) -> Any:
        return self.session.client("sns")

    def charging(self, gateway: Any = None) -> Charging:
        store = IdempotencyStore(self.session.client("dynamodb"), self.table, 45.0, 3600.0)
        return Charging(gateway or self.provider, store)

    def unrefunded_charges(self, order_id: str) -> int:
        """The number of the order's charges that are not refunded."""
        return sum(p.charges - p.refunds for p in self.provider.of(order_id))

    def published(self, *order_ids: str) -> list[OrderEvent]:
        """The events of the orders published since the last call."""
        sqs, events = self.session.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                events.append(parse_order_event(message["Body"]))
        return [event for event in events if event.order_id in order_ids]
