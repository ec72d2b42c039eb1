"""Traces a photo, an order or a request through all functions."""

import os

from services.monitoring.api import GET_TRACE
from services.monitoring.get_trace import GetTrace
from services.monitoring.lab import LabConfiguration
from services.monitoring.telemetry import telemetry
from services.platform.configuration import read
from services.platform.functions.http import http_function

configuration = read(LabConfiguration, os.environ)
handler = http_function(GET_TRACE, GetTrace(telemetry(configuration)).handle)
