"""Develops an uploaded photo into renditions, a catalogue record and an event."""

import os
from dataclasses import dataclass

from services.catalog.process_image import ProcessImage
from services.catalog.store import Catalog
from services.imaging.model import Limits, OutputFormat, Recipe
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.sqs import queue_function

MIB = 1024 * 1024
# What the handler's own process needs beside the one that decodes.
HANDLER_MIB = 128
_LIMITS = Limits()
_RECIPE = Recipe()


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    images_table: str = variable("IMAGES_TABLE", help="table of the catalogue")
    topic_arn: str = variable("IMAGE_EVENTS_TOPIC_ARN", help="topic of the image events")
    formats: tuple[OutputFormat, ...] = variable("RENDITION_FORMATS", default=_RECIPE.formats)
    max_mib: int = variable("PHOTO_MAX_MIB", default=_LIMITS.bytes_max // MIB, minimum=1)
    max_pixels: int = variable("PHOTO_MAX_PIXELS", default=_LIMITS.pixels_per_frame_max, minimum=1)
    max_frames: int = variable("PHOTO_MAX_FRAMES", default=_LIMITS.frames_max, minimum=1)
    max_pixels_in_all: int = variable(
        "PHOTO_MAX_PIXELS_IN_ALL", default=_LIMITS.pixels_in_all_max, minimum=1
    )
    max_seconds: float = variable("PHOTO_MAX_SECONDS", default=_LIMITS.seconds_max, minimum=1)
    # Set by Lambda and by the worker.
    memory_mib: int = variable(
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", default=_LIMITS.memory_bytes_max // MIB, minimum=128
    )


configuration = read(Configuration, os.environ)
handler = queue_function(
    ProcessImage(
        s3=client("s3"),
        sns=client("sns"),
        catalog=Catalog(client("dynamodb"), configuration.images_table),
        renditions_bucket=configuration.renditions_bucket,
        topic_arn=configuration.topic_arn,
        recipe=Recipe(formats=configuration.formats),
        limits=Limits(
            bytes_max=configuration.max_mib * MIB,
            pixels_per_frame_max=configuration.max_pixels,
            frames_max=configuration.max_frames,
            pixels_in_all_max=configuration.max_pixels_in_all,
            seconds_max=configuration.max_seconds,
            memory_bytes_max=max(configuration.memory_mib - HANDLER_MIB, 128) * MIB,
        ),
    ).handle
)
