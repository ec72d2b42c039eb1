"""Creates an order and starts its workflow."""

import os
from dataclasses import dataclass

from services.orders.allowance import Allowance
from services.orders.api import CREATE_ORDER
from services.orders.create_order import CreateOrder, DeclinedLimit
from services.orders.declined_payments import DeclinedPayments
from services.orders.start_workflows import WorkflowConfiguration, make_starter
from services.orders.store import Orders
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_function
from services.platform.usage import DailyLimit


@dataclass(frozen=True)
class Limits:
    """Environment variables: what a customer may order."""

    table: str = variable("USAGE_TABLE", help="table that counts uses by account and address")
    per_address: int = variable("ORDERS_PER_DAY_OF_ADDRESS", default=2_000, minimum=1)
    per_account: int = variable("ORDERS_PER_DAY", default=500, minimum=1)
    declined: int = variable("DECLINED_PAYMENTS_PER_HOUR", default=30, minimum=1)
    declined_of_address: int = variable(
        "DECLINED_PAYMENTS_PER_HOUR_OF_ADDRESS", default=100, minimum=1
    )


configuration, of_database, limits = read_all(
    os.environ, WorkflowConfiguration, DatabaseConfiguration, Limits
)
orders = Orders(Database(of_database))
dynamodb = client("dynamodb")
starter = make_starter(configuration, orders, client("stepfunctions"), client("sns"))
handler = http_function(
    CREATE_ORDER,
    CreateOrder(
        orders,
        starter,
        Allowance(limits.per_account, limits.declined),
        DailyLimit(dynamodb, limits.table, "orders", limits.per_account, limits.per_address),
        DeclinedLimit(DeclinedPayments(dynamodb, limits.table), limits.declined_of_address),
    ).handle,
)
