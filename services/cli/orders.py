"""`darkroom order`, `orders` and `products`: prints from a terminal."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.cli import database
from services.cli.customer import print_result, runs_on_api
from services.client.api import Api
from services.local.terminal import page, people
from services.operations import products
from services.orders.api import KEY_CHARACTERS_MAX, is_key
from services.orders.money import money
from services.platform.errors import PermanentError

GOOD_END = "shipped"
# How many at most is for the API to say.
_QUANTITY = re.compile("[0-9]{1,9}")
_ADDRESS = ("name", "line1", "postcode", "city", "country")


def add(commands: Any, finished: Callable[[bool], Any]) -> None:
    """Adds the subcommands. `finished` makes the exit code, of whether all went well."""
    runs = runs_on_api(finished)
    order = commands.add_parser(
        "order",
        help="order prints of your images, and watch the order go its way",
        description="Orders prints, and waits until the order has ended. Exit code 0: shipped; 3: "
        "it ended otherwise.",
    )
    order.add_argument(
        "prints",
        nargs="+",
        metavar="IMAGE:PRODUCT[:QUANTITY]",
        help="an image's id (or its beginning), a product's id, how many (default: 1)",
    )
    order.add_argument(
        "--pay", default="sandbox-ok", metavar="METHOD", help="payment method (%(default)s)"
    )
    order.add_argument("--key", help="idempotency key (default: a new one)")
    order.add_argument(
        "--to",
        default="Anna Muster, Hafenstr. 1, 20457, Hamburg, DE",
        metavar="ADDRESS",
        help="name, street, postcode, city, country, separated by commas (%(default)s)",
    )
    order.add_argument("--no-wait", action="store_true", help="do not wait for the order's end")
    runs(order, _order)

    orders = commands.add_parser("orders", help="list, show and cancel your orders")
    actions = orders.add_subparsers(required=True, metavar="ACTION")
    runs(actions.add_parser("list", help="all orders, newest first"), _list)
    show = actions.add_parser("show", help="one order, with its history")
    show.add_argument("id")
    runs(show, _show)
    cancel = actions.add_parser("cancel", help="cancel an order")
    cancel.add_argument("id")
    runs(cancel, _cancel)

    parser = commands.add_parser("products", help="list what can be ordered; offer more")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    runs(actions.add_parser("list", help="what can be ordered"), _products)
    offer = actions.add_parser(
        "offer", help="sell the products of a file and add their stock, at the database itself"
    )
    offer.add_argument("file", type=Path, metavar="FILE.yaml")
    offer.add_argument("--json", action="store_true", help="print JSON on stdout")
    offer.set_defaults(run=lambda options: finished(_offer(options)))


def _order(options: argparse.Namespace, api: Api) -> bool:
    key = secrets.token_urlsafe(16) if options.key is None else options.key
    if not is_key(key):
        raise PermanentError(
            f"expected 1 to {KEY_CHARACTERS_MAX} printable ASCII characters in --key, got {key!r}"
        )
    parts = [part.strip() for part in options.to.split(",")]
    if len(parts) != len(_ADDRESS):
        raise PermanentError(f"expected {', '.join(_ADDRESS)} in --to, got {options.to!r}")
    images = [image["id"] for image in api.images()]
    lines = [_line(text, images) for text in options.prints]
    order = api.order(lines, options.pay, dict(zip(_ADDRESS, parts, strict=True)), key)
    people.print(f"order {order['id']}, {_money(order)}")
    if not options.no_wait:
        order = api.ended(order["id"], lambda step: people.print(_step(step)))
    print_result(options, order, f"order [bold]{order['id']}[/]: {order['status']}")
    return bool(options.no_wait or order["status"] == GOOD_END)


def _line(text: str, images: list[str]) -> dict[str, Any]:
    image, _, rest = text.partition(":")
    product, _, quantity = rest.partition(":")
    found = [known for known in images if image and known.startswith(image)]
    if not product or _QUANTITY.fullmatch(quantity or "1") is None:
        raise PermanentError(f"expected IMAGE:PRODUCT[:QUANTITY], got {text!r}")
    if len(found) != 1:
        raise PermanentError(
            f"expected the beginning of one of your images' ids, {image!r} is that of {len(found)}"
        )
    return {"image_id": found[0], "product_id": product, "quantity": int(quantity or 1)}


def _list(options: argparse.Namespace, api: Api) -> bool:
    orders = list(api.orders())
    if options.json:
        print_result(options, orders, "")
        return True
    table = Table("id", "since", "prints", "total", "status", box=None, pad_edge=False)
    for order in orders:
        prints = sum(line["quantity"] for line in order["lines"])
        since = order["created_at"][:19].replace("T", " ")
        table.add_row(order["id"], since, str(prints), _money(order), order["status"])
    page.print(table)
    return True


def _show(options: argparse.Namespace, api: Api) -> bool:
    order = api.order_of(options.id)
    if options.json:
        print_result(options, order, "")
        return True
    page.print(f"order [bold]{order['id']}[/], {_money(order)}")
    for line in order["lines"]:
        page.print(
            f"  {line['quantity']} x {escape(line['product_name'])} of image {line['image_id']}"
        )
    for step in order["history"]:
        page.print(_step(step))
    return True


def _cancel(options: argparse.Namespace, api: Api) -> bool:
    order = api.cancel_order(options.id)
    print_result(options, order, f"order {order['id']}: {order['status']}")
    return True


def _products(options: argparse.Namespace, api: Api) -> bool:
    offered = api.products()
    if options.json:
        print_result(options, offered, "")
        return True
    table = Table("id", "product", "paper", "mm", "price", "", box=None, pad_edge=False)
    for item in offered:
        price = money(item["price_minor"], item["currency"])
        size = f"{item['width_mm']:g} x {item['height_mm']:g}"
        left = "" if item["available"] else "[yellow]out of stock[/]"
        table.add_row(item["id"], escape(item["name"]), escape(item["paper"]), size, price, left)
    page.print(table)
    return True


def _offer(options: argparse.Namespace) -> bool:
    offered = products.offer(database.database(), options.file)
    ids = [product.id for product in offered]
    print_result(options, ids, f"offered: {', '.join(ids)}")
    return True


def _money(order: dict[str, Any]) -> str:
    return money(order["total_minor"], order["currency"])


def _step(step: dict[str, Any]) -> str:
    told = " ".join(filter(None, [step.get("message"), *step.get("warnings", ())]))
    return f"  {step['at'][11:23]}  {step['status']:18} {escape(told)}".rstrip()
