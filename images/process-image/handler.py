"""Develops an uploaded photo into renditions, a catalogue record and an event."""

import os
from dataclasses import dataclass

from services.catalog.configuration import DevelopmentConfiguration
from services.catalog.process_image import ProcessImage
from services.catalog.store import Catalog
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    topic_arn: str = variable("IMAGE_EVENTS_TOPIC_ARN", help="topic of the image events")


configuration, development = read_all(os.environ, Configuration, DevelopmentConfiguration)
handler = queue_function(
    ProcessImage(
        s3=client("s3"),
        sns=client("sns"),
        catalog=Catalog(client("dynamodb"), configuration.images_table),
        renditions_bucket=configuration.renditions_bucket,
        topic_arn=configuration.topic_arn,
        recipes=development.recipes,
        limits=development.limits,
    ).handle
)
