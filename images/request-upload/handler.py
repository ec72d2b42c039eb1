"""Presigns a form for the upload of a photo."""

import os
from dataclasses import dataclass

from services.catalog.api import REQUEST_UPLOAD
from services.catalog.request_upload import RequestUpload, StorageLimit
from services.catalog.store import Catalog
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function
from services.platform.usage import DailyBytes, DailyLimit


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    max_mib: int = variable("PHOTO_MAX_MIB", default=64, minimum=1, maximum=5_000)
    minutes: int = variable("UPLOAD_MINUTES", default=15, minimum=1, maximum=60)
    recipes: tuple[str, ...] = variable("RECIPES", default=("standard",))
    usage_table: str = variable("USAGE_TABLE", help="table that counts uses by account and address")
    per_account: int = variable("UPLOADS_PER_DAY", default=5_000, minimum=1)
    per_address: int = variable("UPLOADS_PER_DAY_OF_ADDRESS", default=20_000, minimum=1)
    mib_per_address: int = variable("UPLOAD_MIB_PER_DAY_OF_ADDRESS", default=512 * 1024, minimum=1)
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    stored_mib: int = variable("STORED_MIB_PER_ACCOUNT", default=100 * 1024, minimum=1)


configuration = read(Configuration, os.environ)
dynamodb = client("dynamodb")
handler = http_function(
    REQUEST_UPLOAD,
    RequestUpload(
        client("s3"),
        configuration.originals_bucket,
        configuration.max_mib * 1024 * 1024,
        configuration.minutes,
        configuration.recipes,
        DailyLimit(
            dynamodb,
            configuration.usage_table,
            "uploads",
            configuration.per_account,
            configuration.per_address,
        ),
        StorageLimit(
            Catalog(dynamodb, configuration.images_table), configuration.stored_mib * 1024 * 1024
        ),
        DailyBytes(dynamodb, configuration.usage_table, configuration.mib_per_address),
    ).handle,
)
