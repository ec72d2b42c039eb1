"""Develops an uploaded photo into renditions, a catalogue record and an event."""

import os
from dataclasses import dataclass

from services.catalog.configuration import DevelopmentConfiguration
from services.catalog.key_layout import KeyLayout
from services.catalog.process_image import ProcessImage
from services.catalog.store import Catalog
from services.catalog.turns import OwnerTurns
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.sqs import queue_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    topic_arn: str = variable("IMAGE_EVENTS_TOPIC_ARN", help="topic of the image events")
    key_pattern: str = variable(
        "KEY_PATTERN", default="", help="pattern of keys with the groups owner and name"
    )
    # Set by the host of the function.
    queue_url: str | None = variable("QUEUE_URL", default=None)
    owner_environments: float | None = variable("OWNER_ENVIRONMENTS", default=None, minimum=0.1)

    def turns(self, catalog: Catalog) -> OwnerTurns | None:
        """The turns of owners; None where the host states no share of one owner."""
        if self.queue_url is None or self.owner_environments is None:
            return None
        return OwnerTurns(catalog, lambda: client("sqs"), self.queue_url, self.owner_environments)


configuration, development = read_all(os.environ, Configuration, DevelopmentConfiguration)
catalog = Catalog(client("dynamodb"), configuration.images_table)
handler = queue_function(
    ProcessImage(
        s3=client("s3"),
        sns=client("sns"),
        catalog=catalog,
        renditions_bucket=configuration.renditions_bucket,
        topic_arn=configuration.topic_arn,
        recipes=development.recipes,
        limits=development.limits,
        turns=configuration.turns(catalog),
        layout=KeyLayout.of(configuration.key_pattern),
    ).handle
)
