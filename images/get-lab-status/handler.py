"""Reports the health of all functions and queues, and their releases."""

import os

from services.monitoring.api import GET_LAB_STATUS, LIST_RELEASES
from services.monitoring.get_lab_status import GetLabStatus
from services.monitoring.lab import LabConfiguration
from services.monitoring.releases import releases
from services.monitoring.telemetry import telemetry
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_functions

configuration = read(LabConfiguration, os.environ)
function = GetLabStatus(
    configuration, telemetry(configuration), client("sqs"), releases(configuration)
)
handler = http_functions(
    {
        "GET /operations/status": (GET_LAB_STATUS, function.handle),
        "GET /operations/releases": (LIST_RELEASES, function.releases),
    }
)
