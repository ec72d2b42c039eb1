"""Runs an operation of an operator; IAM decides who may invoke it.

{"id", "operator", "operation", "arguments"}  ->  {"result": ...} or {"refused": MESSAGE}
"""

import os
from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.reset_second_factor import SecondFactorReset
from services.accounts.second_factors import SecondFactors
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
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of the account events")


configuration, of_operations, of_database = read_all(
    os.environ, Configuration, OperationsConfiguration, DatabaseConfiguration
)
database = Database(of_database)
dynamodb = client("dynamodb")
users, sessions = Users(database), SessionStore(dynamodb, configuration.sessions_table)
notices = AccountNotices(lambda: client("sns"), configuration.topic_arn)
factors = SecondFactorReset(users, SecondFactors(database), sessions, notices)
handler = plain_function(
    RunOperation(
        operations(Products(database), users, sessions, factors),
        of_operations.store(dynamodb),
    ).handle
)
