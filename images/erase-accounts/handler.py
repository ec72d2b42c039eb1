"""Erases accounts whose deletion was asked for."""

import os
from dataclasses import dataclass
from datetime import timedelta

from services.accounts.address_codes import AddressCodes
from services.accounts.api_keys import ApiKeyStore
from services.accounts.erase_accounts import EraseAccounts
from services.accounts.erasure import ErasedUsers, StoredData
from services.accounts.sessions import SessionStore
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function
from services.webhooks.endpoints import EndpointStore


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    api_keys_table: str = variable("API_KEYS_TABLE", help="table of the API keys")
    webhooks_table: str = variable("WEBHOOKS_TABLE", help="table of the webhooks")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    prints_bucket: str = variable("PRINTS_BUCKET", help="bucket of the print files")
    exports_bucket: str = variable("EXPORTS_BUCKET", help="bucket of the exports of data")
    settling_minutes: int = variable(
        "ERASURE_SETTLING_MINUTES",
        default=90,
        minimum=0,
        help="time until the last pass; longer than an upload form is valid",
    )


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
dynamodb = client("dynamodb")
data = StoredData(
    s3=client("s3"),
    dynamodb=dynamodb,
    originals_bucket=configuration.originals_bucket,
    other_buckets=(
        configuration.renditions_bucket,
        configuration.prints_bucket,
        configuration.exports_bucket,
    ),
    images_table=configuration.images_table,
    sessions=SessionStore(dynamodb, configuration.sessions_table),
    keys=ApiKeyStore(dynamodb, configuration.api_keys_table),
    webhooks=EndpointStore(dynamodb, configuration.webhooks_table),
)
database = Database(database_configuration)
handler = queue_function(
    EraseAccounts(
        ErasedUsers(database),
        data,
        AddressCodes(database),
        timedelta(minutes=configuration.settling_minutes),
    ).handle
)
