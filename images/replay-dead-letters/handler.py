"""Sends dead letters back to their queues."""

import os

from services.monitoring.api import REPLAY_DEAD_LETTERS
from services.monitoring.lab import LabConfiguration
from services.monitoring.replay_dead_letters import ReplayDeadLetters
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_function

configuration = read(LabConfiguration, os.environ)
handler = http_function(REPLAY_DEAD_LETTERS, ReplayDeadLetters(configuration, client("sqs")).handle)
