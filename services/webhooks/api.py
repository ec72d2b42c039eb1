"""The operations of webhooks: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.platform.functions.access import Access, Scope
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import END
from services.webhooks.addresses import URL_CHARACTERS_MAX
from services.webhooks.endpoints import ENDPOINTS_PER_OWNER
from services.webhooks.model import ID_DIGITS, DisabledReason, Endpoint, WebhookEventType

WEBHOOK_NOT_FOUND = Problem(404, "webhook-not-found", "Webhook not found")
TOO_MANY_WEBHOOKS = Problem(409, "too-many-webhooks", f"You have {ENDPOINTS_PER_OWNER} webhooks")

WebhookId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{{ID_DIGITS}}}{END}",
        description=f"a webhook's id, {ID_DIGITS} hexadecimal digits",
        examples=["8b1a9953c4611296a827abf8c47804d7"],
    ),
]
Time = Annotated[str, Meta(description="a time in UTC", extra_json_schema={"format": "date-time"})]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A webhook. `events` lists what it is called for; all by default."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=URL_CHARACTERS_MAX,
            description="https://HOST/PATH, at a public address",
            examples=["https://example.com/darkroom"],
        ),
    ]
    events: Annotated[list[WebhookEventType], Meta(max_length=len(WebhookEventType))] = []
    rotate_secret: Annotated[
        bool, Meta(description="makes a new secret; the former one signs too for 24 hours")
    ] = False


class Webhook(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A webhook, without its secret. `disabled` tells why it is called no more; null while it is
    called."""

    id: WebhookId
    url: str
    events: list[WebhookEventType]
    created_at: Time
    disabled: DisabledReason | None


class StoredWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook with its new secret, which is returned only here; null if the secret is the
    former one."""

    secret: Annotated[
        str | None,
        Meta(
            description="signs each call, by Standard Webhooks",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
        ),
    ]


class WebhookList(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Webhooks, oldest first."""

    webhooks: list[Webhook]


class WebhookTrial(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The outcome of a call with the event `webhook.test`. `status` is that of the response, null
    without one; `reason` why it was not delivered."""

    delivered: bool
    status: int | None
    reason: str | None
    duration_ms: int


class WebhookParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: WebhookId


SET_WEBHOOK = Operation(
    summary="Set a webhook: call a URL for events",
    access=Access.CUSTOMER,
    scope=Scope.WEBHOOKS_MANAGE,
    body=NewWebhook,
    answers={
        200: Answer("A webhook with this URL existed, and was changed", StoredWebhook),
        201: Answer("The new webhook and its secret", StoredWebhook, {"Location": "its path"}),
    },
    problems=(TOO_MANY_WEBHOOKS,),
    description="Calls are signed by Standard Webhooks, and repeated for 15 hours until the "
    "response is 2xx. 410 switches the webhook off, and so do failures for that long; setting it "
    "again switches it on.",
)
LIST_WEBHOOKS = Operation(
    summary="List your webhooks, oldest first",
    access=Access.CUSTOMER,
    scope=Scope.WEBHOOKS_MANAGE,
    answers={200: Answer("All webhooks", WebhookList)},
)
DELETE_WEBHOOK = Operation(
    summary="Delete one of your webhooks",
    access=Access.CUSTOMER,
    scope=Scope.WEBHOOKS_MANAGE,
    parameters=WebhookParameters,
    answers={204: Answer("The webhook is deleted")},
    problems=(WEBHOOK_NOT_FOUND,),
)
TRY_WEBHOOK = Operation(
    summary="Call one of your webhooks with a test event",
    access=Access.CUSTOMER,
    scope=Scope.WEBHOOKS_MANAGE,
    parameters=WebhookParameters,
    answers={200: Answer("The outcome of the call", WebhookTrial)},
    problems=(WEBHOOK_NOT_FOUND,),
)


def fields(endpoint: Endpoint) -> dict[str, Any]:
    """The fields of the API's form of an endpoint."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": [WebhookEventType(event) for event in sorted(endpoint.events)],
        "created_at": endpoint.created_at,
        "disabled": endpoint.disabled,
    }
