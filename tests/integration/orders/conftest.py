"""A database with the schema, and factories and resources for orders and payments."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.local.postgres import Postgres
from services.orders.store import Orders
from tests.integration.orders.environment import (
    OrderFactory,
    OrderResources,
)
from tests.integration.orders.photos import Photos
from tests.integration.orders.requests import CreateOrderSetup, FailingClient
from tests.support.postgres import migrated_database


@pytest.fixture(scope="package")
def factory(postgres: Postgres, cloud: Emulator) -> OrderFactory:
    return OrderFactory(migrated_database(postgres, LocalSession(cloud.endpoint)))


@pytest.fixture(autouse=True)
def _closed(factory: OrderFactory) -> Iterator[None]:
    yield
    while factory.opened:
        factory.opened.pop().close()


@pytest.fixture
def orders(factory: OrderFactory) -> Orders:
    return factory.orders()


@pytest.fixture(scope="package")
def resources(cloud: Emulator) -> OrderResources:
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
    recipients = f"{name}-recipients"
    session.client("dynamodb").create_table(
        TableName=recipients,
        KeySchema=[
            {"AttributeName": "recipient", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("recipient", "item")
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    session.client("s3").create_bucket(Bucket=name)
    return OrderResources(session, topic_arn, queue_url, name, name, recipients)


@pytest.fixture(scope="module")
def photos(cloud: Emulator) -> Photos:
    session, name = LocalSession(cloud.endpoint), f"t{uuid.uuid4().hex[:8]}"
    session.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "owner", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("owner", "item")
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    made = Photos(session, name, f"{name}-renditions")
    for bucket in (made.originals, made.renditions):
        session.client("s3").create_bucket(Bucket=bucket)
    return made


@pytest.fixture
def owner(factory: OrderFactory) -> str:
    return factory.user()


@pytest.fixture(scope="module")
def machine(resources: OrderResources) -> str:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    made = resources.session.client("stepfunctions").create_state_machine(
        name=f"t{uuid.uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/test",
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def setup(resources: OrderResources, machine: str, factory: OrderFactory) -> CreateOrderSetup:
    # Other tests leave unstarted orders behind.
    with factory.orders().database.transaction() as cursor:
        cursor.execute("UPDATE orders SET started_at = now() WHERE started_at IS NULL")
    states, sns = (resources.session.client(service) for service in ("stepfunctions", "sns"))
    return CreateOrderSetup(resources, machine, FailingClient(states), FailingClient(sns))
