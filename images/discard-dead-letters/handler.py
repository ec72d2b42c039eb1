"""Deletes dead letters."""

import os

from services.monitoring.api import DISCARD_DEAD_LETTERS
from services.monitoring.discard_dead_letters import DiscardDeadLetters
from services.monitoring.lab import LabConfiguration
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_function

configuration = read(LabConfiguration, os.environ)
handler = http_function(
    DISCARD_DEAD_LETTERS, DiscardDeadLetters(configuration, client("sqs")).handle
)
