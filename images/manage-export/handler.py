"""Takes requests for exports of a customer's data, and links to them."""

import os
from dataclasses import dataclass

from services.exports.api import GET_EXPORT, REQUEST_EXPORT, ROUTE
from services.exports.manage_export import ManageExport
from services.exports.store import DataExports
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.http import http_functions
from services.platform.usage import DailyLimit


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    exports_bucket: str = variable("EXPORTS_BUCKET", help="bucket of the exports of data")
    topic_arn: str = variable("ACCOUNT_EVENTS_TOPIC_ARN", help="topic of the account events")
    usage_table: str = variable("USAGE_TABLE", help="table that counts uses by account and address")
    per_account: int = variable("EXPORTS_PER_DAY", default=10, minimum=1)
    per_address: int = variable("EXPORTS_PER_DAY_OF_ADDRESS", default=200, minimum=1)


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
database = Database(database_configuration)
function = ManageExport(
    DataExports(database),
    client("s3"),
    configuration.exports_bucket,
    client("sns"),
    configuration.topic_arn,
    DailyLimit(
        client("dynamodb"),
        configuration.usage_table,
        "exports",
        configuration.per_account,
        configuration.per_address,
    ),
)
handler = http_functions(
    {
        f"POST {ROUTE}": (REQUEST_EXPORT, function.request),
        f"GET {ROUTE}": (GET_EXPORT, function.handle),
    }
)
