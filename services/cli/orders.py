"""`darkroom order`, `orders` and `products`: prints from a terminal."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from services.administration.run_operation import Operation
from services.cli import database
from services.cli.connection import ApiAddress, connected, is_embedded
from services.cli.options import ExitCode, Json, Outputs, group, whole_id
from services.cli.output import print_json, print_result
from services.client.api import Api
from services.local.terminal import page, people, shown_id
from services.orders.api import KEY_CHARACTERS_MAX, is_key
from services.orders.money import money
from services.platform.errors import PermanentError

GOOD_END = "shipped"
# Of the embedded lab, where no print and no money is real.
EXAMPLE_ADDRESS = "Anna Muster, Hafenstr. 1, 20457, Hamburg, DE"
EXAMPLE_PAYMENT = "sandbox-ok"
# An order's id is a UUID.
ID_LENGTH = 36
# How many at most is for the API to say.
_QUANTITY = re.compile("[0-9]{1,9}")
_ADDRESS = ("name", "line1", "postcode", "city", "country")

orders = group("List, show and cancel your orders.")
products = group("List what can be ordered; offer more.")

OrderId = Annotated[str, typer.Argument(metavar="ID", help="The order's id, or its beginning.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command()(order)
    app.add_typer(orders, name="orders")
    app.add_typer(products, name="products")


def order(
    prints: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE:PRODUCT[:QUANTITY]",
            help="Image id and product id (or their beginnings), and how many (1 by default).",
        ),
    ],
    pay: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help=f"Payment method; {EXAMPLE_PAYMENT} by default in an embedded lab only.",
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; a new one by default.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Name, street, postcode, city, country, separated by commas; an example address "
            "by default in an embedded lab only.",
        ),
    ] = None,
    line2: Annotated[
        str | None, typer.Option(help="Second line of the address, such as a floor.")
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait for the order's end.")
    ] = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Order prints of your images, and follow the order.

    Waits until the order has ended. Exit code 0: shipped; 3: it ended otherwise.
    """
    key = secrets.token_urlsafe(16) if key is None else key
    if not is_key(key):
        raise PermanentError(
            f"expected 1 to {KEY_CHARACTERS_MAX} printable ASCII characters in --key, got {key!r}"
        )
    with connected(api) as reached:
        delivery = _delivery(_example(to, "--to", EXAMPLE_ADDRESS, reached), line2)
        payment = _example(pay, "--pay", EXAMPLE_PAYMENT, reached)
        images = [image["id"] for image in reached.images()]
        offered = [item["id"] for item in reached.products()]
        lines = [_line(text, images, offered) for text in prints]
        made = reached.order(lines, payment, delivery, key)
        people.print(f"order {made['id']}, {_money(made)}")
        if not no_wait:
            made = reached.ended(made["id"], lambda step: people.print(_step(step)))
    print_result(made, f"order [bold]{made['id']}[/]: {made['status']}", as_json=json)
    done = no_wait or made["status"] == GOOD_END
    return ExitCode.DONE if done else ExitCode.SOME_REJECTED


def _example(given: str | None, option: str, example: str, api: Api) -> str:
    """The option's value, or the example where nothing is real.

    Raises PermanentError when there is no value and the API is not that of the embedded lab.
    """
    if given is not None:
        return given
    if not is_embedded(api):
        raise PermanentError(
            f"expected {option}: it has no default away from an embedded lab, and {api.url} is not "
            "the lab that runs here"
        )
    return example


def _delivery(text: str, line2: str | None) -> dict[str, Any]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(_ADDRESS):
        raise PermanentError(f"expected {', '.join(_ADDRESS)} in --to, got {text!r}")
    address = dict(zip(_ADDRESS, parts, strict=True))
    return address if line2 is None else {**address, "line2": line2}


def _line(text: str, images: list[str], offered: list[str]) -> dict[str, Any]:
    image, _, rest = text.partition(":")
    product, _, quantity = rest.partition(":")
    if not product or _QUANTITY.fullmatch(quantity or "1") is None:
        raise PermanentError(f"expected IMAGE:PRODUCT[:QUANTITY], got {text!r}")
    return {
        "image_id": whole_id(image, images, "image"),
        "product_id": whole_id(product, offered, "product"),
        "quantity": int(quantity or 1),
    }


@orders.command("list")
def list_orders(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List all orders, newest first."""
    with connected(api) as reached:
        found = list(reached.orders())
    table = Table("id", "since", "prints", "total", "status", box=None, pad_edge=False)
    for item in found:
        prints = sum(line["quantity"] for line in item["lines"])
        since = item["created_at"][:19].replace("T", " ")
        table.add_row(shown_id(item["id"]), since, str(prints), _money(item), item["status"])
    print_result(found, table, as_json=json)
    return ExitCode.DONE


@orders.command()
def show(order_id: OrderId, api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Show one order, with its history."""
    with connected(api) as reached:
        found = reached.order_of(_whole_order_id(reached, order_id))
    if json:
        print_json(found)
        return ExitCode.DONE
    page.print(f"order [bold]{found['id']}[/], {_money(found)}")
    for line in found["lines"]:
        page.print(
            f"  {line['quantity']} x {escape(line['product_name'])} of image {line['image_id']}"
        )
    for step in found["history"]:
        page.print(_step(step))
    return ExitCode.DONE


@orders.command()
def cancel(order_id: OrderId, api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Cancel an order."""
    with connected(api) as reached:
        found = reached.cancel_order(_whole_order_id(reached, order_id))
    print_result(found, f"order {found['id']}: {found['status']}", as_json=json)
    return ExitCode.DONE


def _whole_order_id(api: Api, text: str) -> str:
    if len(text) >= ID_LENGTH:
        return text
    return whole_id(text, [item["id"] for item in api.orders()], "order")


@products.command("list")
def list_products(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List what can be ordered."""
    with connected(api) as reached:
        offered = reached.products()
    table = Table("id", "product", "paper", "mm", "price", "", box=None, pad_edge=False)
    for item in offered:
        price = money(item["price_minor"], item["currency"])
        size = f"{item['width_mm']:g} x {item['height_mm']:g}"
        left = "" if item["available"] else "[yellow]out of stock[/]"
        table.add_row(item["id"], escape(item["name"]), escape(item["paper"]), size, price, left)
    print_result(offered, table, as_json=json)
    return ExitCode.DONE


@products.command()
def offer(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The products and stock.")],
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Sell the products of a file and add their stock: at the database itself, or on AWS by
    run-operation."""
    from services.operations import products as offering

    if outputs is not None:
        arguments = {"products": offering.read_items(file)}
        ids = database.run_remotely(outputs, Operation.OFFER_PRODUCTS, arguments)
    else:
        ids = [product.id for product in offering.offer(database.database(), file)]
    print_result(ids, f"offered: {', '.join(ids)}", as_json=json)
    return ExitCode.DONE


def _money(found: dict[str, Any]) -> str:
    return money(found["total_minor"], found["currency"])


def _step(step: dict[str, Any]) -> str:
    text = " ".join(filter(None, [step.get("message"), *step.get("warnings", ())]))
    return f"  {step['at'][11:23]}  {step['status']:18} {escape(text)}".rstrip()
