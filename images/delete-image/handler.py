"""Deletes one of a customer's images."""

import os
from dataclasses import dataclass

from services.catalog.api import DELETE_IMAGE
from services.catalog.delete_image import DeleteImage
from services.catalog.store import Catalog
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")


configuration = read(Configuration, os.environ)
handler = http_function(
    DELETE_IMAGE,
    DeleteImage(
        Catalog(client("dynamodb"), configuration.images_table),
        client("s3"),
        configuration.originals_bucket,
    ).handle,
)
