"""A database with the lab's schema, and what is needed to order in it and to pay."""

from __future__ import annotations

import functools
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.accounts.users import Users
from services.events.orders import OrderEvent, parse_order_event
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.local.postgres import Postgres
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
from services.schema import migrate_database
from tests.support.exactly_once import Provider
from tests.support.postgres import FreshDatabase, fresh_database

PRICE_MINOR = 250
DELIVERY = Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE")
IMAGE_ID = "0" * 31 + "1"
# The way that an order goes to each status.
WAYS = {
    OrderStatus.CREATED: (),
    OrderStatus.VALIDATED: (OrderStatus.VALIDATED,),
    OrderStatus.RESERVED: (OrderStatus.VALIDATED, OrderStatus.RESERVED),
    OrderStatus.PAID: (OrderStatus.VALIDATED, OrderStatus.RESERVED, OrderStatus.PAID),
}
WAYS |= {
    OrderStatus.FULFILLED: (*WAYS[OrderStatus.PAID], OrderStatus.FULFILLED),
    OrderStatus.SHIPPED: (*WAYS[OrderStatus.PAID], OrderStatus.FULFILLED, OrderStatus.SHIPPED),
    OrderStatus.REJECTED: (OrderStatus.REJECTED,),
    OrderStatus.OUT_OF_STOCK: (OrderStatus.VALIDATED, OrderStatus.OUT_OF_STOCK),
    OrderStatus.PAYMENT_DECLINED: (*WAYS[OrderStatus.RESERVED], OrderStatus.PAYMENT_DECLINED),
    OrderStatus.CANCELLED: (*WAYS[OrderStatus.PAID], OrderStatus.CANCELLED),
    OrderStatus.FAILED: (*WAYS[OrderStatus.PAID], OrderStatus.FAILED),
}


@dataclass
class Desk:
    """Makes users, products and orders. A database connection for whoever asks for one."""

    fresh: FreshDatabase
    opened: list[Database] = field(default_factory=list)

    def orders(self) -> Orders:
        """With a connection of its own: one for each thread."""
        self.opened.append(self.fresh.database())
        return Orders(self.opened[-1])

    def user(self) -> str:
        database = self.fresh.database()
        try:
            return Users(database).create(f"{uuid.uuid4().hex}@darkroom.example", "Anna", "hash").id
        finally:
            database.close()

    @functools.cached_property
    def anybody(self) -> str:
        """The user of orders of which it does not matter whose they are."""
        return self.user()

    def product(self, orders: Orders, stock: int = 10, **changes: Any) -> str:
        product_id = f"t-{uuid.uuid4().hex[:12]}"
        values: dict[str, Any] = {"price_minor": PRICE_MINOR, "currency": "EUR"} | changes
        Products(orders.database).offer(
            Product(product_id, "Test print", "matte", 100, 150, **values), stock
        )
        return product_id

    def new(self, user_id: str, *lines: tuple[str, int], **changes: Any) -> NewOrder:
        """What a customer orders: (product, quantity) a line."""
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
        """An order that has gone its way to `status`."""
        order = orders.create(self.new(user_id or self.anybody, *lines))
        for step in WAYS[status]:
            order = orders.advance(order.id, step)
        return order

    def held(self, orders: Orders, product_id: str) -> Mapping[str, int]:
        """How many prints of the product the reservations say are in each state."""
        with orders.database.transaction() as cursor:
            cursor.execute(
                "SELECT state, sum(quantity)::integer FROM reservations WHERE product_id = %s "
                "GROUP BY state",
                [product_id],
            )
            return Counter(dict(cursor.fetchall()))

    def assert_balanced(self, orders: Orders, product_id: str, start: int) -> StockLevel:
        """Nothing is lost, and what the stock says is what the orders hold. The stock."""
        level = Products(orders.database).stock_levels()[product_id]
        held = self.held(orders, product_id)
        assert level.on_hand + level.sold == start
        assert (level.reserved, level.sold) == (held["reserved"], held["sold"])
        assert level.available == start - held["sold"] - held["reserved"] >= 0
        return level


@pytest.fixture(scope="package")
def desk(postgres: Postgres, cloud: Emulator) -> Desk:
    fresh = fresh_database(postgres, LocalSession(cloud.endpoint))
    database = fresh.database()
    migrate_database.migrate(database)
    database.close()
    return Desk(fresh)


@pytest.fixture(autouse=True)
def _closed(desk: Desk) -> Iterator[None]:
    yield
    while desk.opened:
        desk.opened.pop().close()


@pytest.fixture
def orders(desk: Desk) -> Orders:
    return desk.orders()


@dataclass
class Town:
    """The world around the orders: the topic that they are told of on, with somebody who listens,
    the payment provider, the table of claims, and what the printer gets."""

    session: LocalSession
    topic_arn: str
    queue_url: str
    table: str
    prints_bucket: str
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

    def kept(self, order_id: str) -> int:
        """How many charges of the order the provider has and has not given back."""
        return sum(p.charges - p.refunds for p in self.provider.of(order_id))

    def heard(self, *order_ids: str) -> list[OrderEvent]:
        """What was told of the orders since the last time."""
        sqs, events = self.session.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                events.append(parse_order_event(message["Body"]))
        return [event for event in events if event.order_id in order_ids]


@pytest.fixture(scope="package")
def town(cloud: Emulator) -> Town:
    session, name = LocalSession(cloud.endpoint), f"t{uuid.uuid4().hex[:8]}"
    topic_arn = session.client("sns").create_topic(Name=name)["TopicArn"]
    sqs = session.client("sqs")
    queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    session.client("sns").subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"]
    )
    session.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    session.client("s3").create_bucket(Bucket=name)
    return Town(session, topic_arn, queue_url, table=name, prints_bucket=name)
