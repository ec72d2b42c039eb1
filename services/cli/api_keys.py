"""`darkroom api-keys`: access for servers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.connection import KEY_VARIABLE, ApiAddress, connected
from services.cli.options import ExitCode, Json, group, whole_id, whole_number
from services.cli.output import print_result
from services.local.terminal import shown_id
from services.platform.functions.access import Scope

api_keys = group(f"Create, list and revoke API keys. Commands use the one in {KEY_VARIABLE}.")
DAYS = whole_number(1, 3650)


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(api_keys, name="api-keys")


@api_keys.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")],
    days: Annotated[
        int | None,
        typer.Option(parser=DAYS, metavar="N", help="Days until it expires; never by default."),
    ] = None,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Create an API key; prints its secret, once."""
    with connected(api) as reached:
        made = reached.create_api_key(name, [item.value for item in scope], days)
    text = f"{escape(made['key'])}\nThis secret is not shown again."
    print_result(made, text, as_json=json)
    return ExitCode.DONE


@api_keys.command("list")
def list_keys(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List your API keys, without their secrets."""
    with connected(api) as reached:
        found = reached.api_keys()
    table = Table("id", "name", "scopes", "since", "until", "last use", box=None, pad_edge=False)
    for key in found:
        table.add_row(
            shown_id(key["id"]),
            escape(key["name"]),
            " ".join(key["scopes"]),
            key["created_at"][:10],
            (key["expires_at"] or "revoked")[:10],
            (key["last_used_at"] or "never")[:16],
        )
    print_result(found, table, as_json=json)
    return ExitCode.DONE


@api_keys.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or its beginning.")],
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Revoke an API key."""
    with connected(api) as reached:
        chosen = whole_id(key, [item["id"] for item in reached.api_keys()], "API key")
        reached.revoke_api_key(chosen)
    print_result({"id": chosen, "revoked": True}, "Revoked.", as_json=json)
    return ExitCode.DONE
