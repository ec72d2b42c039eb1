"""Runs an operation of an operator; IAM decides who may invoke it.

{"id", "operator", "operation", "arguments"}  ->  {"result": ...} or {"refused": MESSAGE}
"""

import os
from dataclasses import dataclass

from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.administration.run_operation import RunOperation, operations
from services.orders.products import Products
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.invocation import plain_function
from services.platform.idempotency import IdempotencyConfiguration


@dataclass(frozen=True)
class OperationsConfiguration(IdempotencyConfiguration):
    """The idempotency settings of operations. A lease outlasts the function's timeout."""

    lease_seconds: float = variable("OPERATIONS_LEASE_SECONDS", default=90.0, minimum=1)
    keep_seconds: float = variable("OPERATIONS_KEEP_SECONDS", default=86_400.0, minimum=100)


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")


configuration, of_operations, of_database = read_all(
    os.environ, Configuration, OperationsConfiguration, DatabaseConfiguration
)
database = Database(of_database)
dynamodb = client("dynamodb")
handler = plain_function(
    RunOperation(
        operations(
            Products(database),
            Users(database),
            SessionStore(dynamodb, configuration.sessions_table),
        ),
        of_operations.store(dynamodb),
    ).handle
)
