"""Calls webhooks about events of photos and orders."""

import os

from services.platform.aws.clients import client
from services.platform.configuration import read_all
from services.platform.functions.sqs import queue_function
from services.webhooks.configuration import (
    CallConfiguration,
    DeliveryConfiguration,
    WebhooksConfiguration,
)
from services.webhooks.endpoints import DeploymentEndpoints, EndpointStore
from services.webhooks.send_webhook import SendWebhook

webhooks, calls, deliveries = read_all(
    os.environ, WebhooksConfiguration, CallConfiguration, DeliveryConfiguration
)
dynamodb = client("dynamodb")
handler = queue_function(
    SendWebhook(
        EndpointStore(dynamodb, webhooks.webhooks_table),
        DeploymentEndpoints(lambda: client("secretsmanager"), deliveries.secret_arn),
        deliveries.store(dynamodb),
        calls.caller,
        lambda: client("sqs"),
        deliveries.queue_url,
        deliveries.retry_seconds,
    ).handle
)
