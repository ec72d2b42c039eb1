"""Lists dead letters with their reasons."""

import os
from dataclasses import dataclass

from services.monitoring.api import LIST_DEAD_LETTERS
from services.monitoring.lab import LabConfiguration
from services.monitoring.list_dead_letters import ListDeadLetters
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    originals_bucket: str = variable("ORIGINALS_BUCKET", help="bucket of the originals")


lab, configuration = read_all(os.environ, LabConfiguration, Configuration)
handler = http_function(
    LIST_DEAD_LETTERS,
    ListDeadLetters(lab, client("sqs"), client("s3"), configuration.originals_bucket).handle,
)
