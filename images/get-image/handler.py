"""Describes one of a customer's images."""

import os
from dataclasses import dataclass

from services.catalog.api import GET_IMAGE
from services.catalog.get_image import GetImage
from services.catalog.presentation import ImagePresenter
from services.catalog.store import Catalog
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")


configuration = read(Configuration, os.environ)
handler = http_function(
    GET_IMAGE,
    GetImage(
        Catalog(client("dynamodb"), configuration.images_table),
        ImagePresenter(
            client("s3"), configuration.renditions_bucket, configuration.originals_bucket
        ),
    ).handle,
)
