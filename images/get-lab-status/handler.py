"""Reports the health of all functions and queues."""

import os

from services.monitoring.api import GET_LAB_STATUS
from services.monitoring.get_lab_status import GetLabStatus
from services.monitoring.lab import LabConfiguration
from services.monitoring.telemetry import telemetry
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_function

configuration = read(LabConfiguration, os.environ)
handler = http_function(
    GET_LAB_STATUS,
    GetLabStatus(configuration, telemetry(configuration), client("sqs")).handle,
)
