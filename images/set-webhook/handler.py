"""Sets a webhook, a URL that is called for events."""

import os

from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.functions.http import http_function
from services.webhooks.api import SET_WEBHOOK
from services.webhooks.configuration import CallConfiguration, WebhooksConfiguration
from services.webhooks.endpoints import EndpointStore
from services.webhooks.set_webhook import SetWebhook

webhooks, calls = read_all(os.environ, WebhooksConfiguration, CallConfiguration)
store = EndpointStore(client("dynamodb"), webhooks.webhooks_table)
handler = http_function(SET_WEBHOOK, SetWebhook(store, calls.policy).handle)
