"""Calls a webhook with a test event."""

import os

from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.functions.http import http_function
from services.webhooks.api import TRY_WEBHOOK
from services.webhooks.configuration import CallConfiguration, WebhooksConfiguration
from services.webhooks.endpoints import EndpointStore
from services.webhooks.try_webhook import TryWebhook

webhooks, calls = read_all(os.environ, WebhooksConfiguration, CallConfiguration)
store = EndpointStore(client("dynamodb"), webhooks.webhooks_table)
handler = http_function(TRY_WEBHOOK, TryWebhook(store, calls.caller).handle)
