"""`darkroom webhooks`: URLs that are called for events."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.connection import ApiAddress, connected
from services.cli.options import ExitCode, Json, group, whole_id
from services.cli.output import print_result
from services.local.terminal import shown_id
from services.webhooks.model import WebhookEventType

webhooks = group("Have URLs called for events of your photos and orders.")
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, or its beginning.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(webhooks, name="webhooks")


@webhooks.command("set")
def set_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://HOST/PATH.")],
    event: Annotated[
        list[WebhookEventType] | None, typer.Option(help="What to call it for; repeatable.")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new secret.")] = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Create a webhook, or change and switch on the one of this URL; prints a new secret, once."""
    with connected(api) as reached:
        made = reached.set_webhook(url, [item.value for item in event or ()], rotate=rotate)
    text = f"Webhook {shown_id(made['id'])} is set."
    if made["secret"]:
        text = f"{escape(made['secret'])}\nThis secret signs the calls. It is not shown again."
    print_result(made, text, as_json=json)
    return ExitCode.DONE


@webhooks.command("list")
def list_webhooks(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List your webhooks, without their secrets."""
    with connected(api) as reached:
        found = reached.webhooks()
    table = Table("id", "URL", "events", "since", "state", box=None, pad_edge=False)
    for webhook in found:
        table.add_row(
            shown_id(webhook["id"]),
            escape(webhook["url"]),
            " ".join(webhook["events"]) or "all",
            webhook["created_at"][:10],
            f"off: {webhook['disabled']}" if webhook["disabled"] else "on",
        )
    print_result(found, table, as_json=json)
    return ExitCode.DONE


@webhooks.command("test")
def try_webhook(webhook: WebhookId, api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Call a webhook with a test event."""
    with connected(api) as reached:
        chosen = whole_id(webhook, [item["id"] for item in reached.webhooks()], "webhook")
        outcome = reached.try_webhook(chosen)
    text = f"Delivered: status {outcome['status']} after {outcome['duration_ms']} ms."
    if not outcome["delivered"]:
        text = f"Not delivered: {escape(outcome['reason'])}."
    print_result(outcome, text, as_json=json)
    return ExitCode.DONE if outcome["delivered"] else ExitCode.FAILED


@webhooks.command()
def delete(webhook: WebhookId, api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Delete a webhook."""
    with connected(api) as reached:
        chosen = whole_id(webhook, [item["id"] for item in reached.webhooks()], "webhook")
        reached.delete_webhook(chosen)
    print_result({"id": chosen, "deleted": True}, "Deleted.", as_json=json)
    return ExitCode.DONE
