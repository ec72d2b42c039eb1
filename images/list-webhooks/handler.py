"""Lists a customer's webhooks."""

import os

from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_function
from services.webhooks.api import LIST_WEBHOOKS
from services.webhooks.configuration import WebhooksConfiguration
from services.webhooks.endpoints import EndpointStore
from services.webhooks.list_webhooks import ListWebhooks

webhooks = read(WebhooksConfiguration, os.environ)
store = EndpointStore(client("dynamodb"), webhooks.webhooks_table)
handler = http_function(LIST_WEBHOOKS, ListWebhooks(store).handle)
