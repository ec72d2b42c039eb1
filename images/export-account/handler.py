"""Writes the export of a customer's data."""

import os
from dataclasses import dataclass

from services.accounts.api_keys import ApiKeyStore
from services.accounts.sessions import SessionStore
from services.catalog.presentation import ImagePresenter
from services.catalog.store import Catalog
from services.exports.contents import Contents
from services.exports.export_account import ExportAccount
from services.exports.store import DataExports
from services.mail.recipients import Recipients
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.functions.sqs import queue_function
from services.webhooks.endpoints import EndpointStore


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    exports_bucket: str = variable("EXPORTS_BUCKET", help="bucket of the exports of data")
    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    sessions_table: str = variable("SESSIONS_TABLE", help="table of the sessions")
    api_keys_table: str = variable("API_KEYS_TABLE", help="table of the API keys")
    webhooks_table: str = variable("WEBHOOKS_TABLE", help="table of the webhooks")
    recipients_table: str = variable("RECIPIENTS_TABLE", help="table of the recipients")


configuration, database_configuration = read_all(os.environ, Configuration, DatabaseConfiguration)
s3, dynamodb = client("s3"), client("dynamodb")
database = Database(database_configuration)
handler = queue_function(
    ExportAccount(
        DataExports(database),
        Contents(
            database,
            Catalog(dynamodb, configuration.images_table),
            ImagePresenter(
                s3,
                configuration.renditions_bucket,
                configuration.originals_bucket,
                downloads=False,
            ),
            Recipients(dynamodb, configuration.recipients_table),
            SessionStore(dynamodb, configuration.sessions_table),
            ApiKeyStore(dynamodb, configuration.api_keys_table),
            EndpointStore(dynamodb, configuration.webhooks_table),
        ),
        s3,
        configuration.exports_bucket,
    ).handle
)
