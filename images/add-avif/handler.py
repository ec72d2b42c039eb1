"""Adds the AVIF renditions of a developed photo."""

import os
from dataclasses import dataclass

from services.catalog.add_avif import AddAvif
from services.catalog.configuration import DevelopmentConfiguration
from services.catalog.store import Catalog
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")
    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")


configuration, development = read_all(os.environ, Configuration, DevelopmentConfiguration)
handler = queue_function(
    AddAvif(
        s3=client("s3"),
        catalog=Catalog(client("dynamodb"), configuration.images_table),
        originals_bucket=configuration.originals_bucket,
        renditions_bucket=configuration.renditions_bucket,
        recipes=development.recipes,
        limits=development.limits,
    ).handle
)
