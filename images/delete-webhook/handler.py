"""Deletes a webhook."""

import os

from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.functions.http import http_function
from services.webhooks.api import DELETE_WEBHOOK
from services.webhooks.configuration import WebhooksConfiguration
from services.webhooks.delete_webhook import DeleteWebhook
from services.webhooks.endpoints import EndpointStore

webhooks = read(WebhooksConfiguration, os.environ)
store = EndpointStore(client("dynamodb"), webhooks.webhooks_table)
handler = http_function(DELETE_WEBHOOK, DeleteWebhook(store).handle)
