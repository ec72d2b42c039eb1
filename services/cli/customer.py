"""`darkroom users`, `login`, `logout` and `images`: the API from a terminal."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.accounts.model import Role
from services.cli import database
from services.client import tokens
from services.client.api import Api
from services.local import lab
from services.local.terminal import page, people
from services.platform.errors import DarkroomError, PermanentError

API_VARIABLE = "DARKROOM_API"
Act = Callable[[argparse.Namespace, Api], bool]


def add(commands: Any, finished: Callable[[bool], Any]) -> None:
    """Adds the subcommands. `finished` makes the exit code, of whether all went well."""

    runs = runs_on_api(finished)

    users = commands.add_parser("users", help="create an account, list them all")
    actions = users.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="create an account; asks for its password")
    create.add_argument("email")
    create.add_argument("--name", required=True)
    _add_password(create)
    runs(create, _create_user)
    runs(actions.add_parser("list", help="every account, for administrators"), _list_users)

    promote = actions.add_parser(
        "promote", help="make an account an administrator's, at the database itself"
    )
    promote.add_argument("email")
    promote.add_argument("--back", action="store_true", help="make it a customer's again")
    promote.add_argument("--json", action="store_true", help="print JSON on stdout")
    promote.set_defaults(run=lambda options: finished(_promote(options)))

    login = commands.add_parser("login", help="sign in; the session is kept for later commands")
    login.add_argument("email")
    _add_password(login)
    runs(login, _login)
    logout = commands.add_parser("logout", help="end the session")
    logout.add_argument("--everywhere", action="store_true", help="and all others of the account")
    runs(logout, _logout)

    images = commands.add_parser("images", help="upload, list, show, fetch and delete your images")
    actions = images.add_subparsers(required=True, metavar="ACTION")
    runs(actions.add_parser("list", help="all images, newest first"), _list_images)
    upload = actions.add_parser("upload", help="upload photos and wait until they are developed")
    upload.add_argument("paths", nargs="+", type=Path, metavar="FILE")
    upload.add_argument("--keep-location", action="store_true", help="keep GPS positions")
    runs(upload, _upload)
    show = actions.add_parser("show", help="one image, with links to its renditions")
    show.add_argument("id")
    runs(show, _show_image)
    fetch = actions.add_parser("fetch", help="download an image's renditions")
    fetch.add_argument("id")
    fetch.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="(default: here)")
    runs(fetch, _fetch)
    delete = actions.add_parser("delete", help="delete images for good")
    delete.add_argument("ids", nargs="+", metavar="ID")
    runs(delete, _delete_images)


def runs_on_api(
    finished: Callable[[bool], Any],
) -> Callable[[argparse.ArgumentParser, Act], None]:
    """Gives what makes a parser run a function of the options and the API."""

    def runs(parser: argparse.ArgumentParser, act: Act) -> None:
        parser.add_argument(
            "--api",
            default=os.environ.get(API_VARIABLE),
            metavar="URL",
            help=f"the API's address (default: {API_VARIABLE}, else the running lab's)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON on stdout")
        parser.set_defaults(run=lambda options: finished(_with_api(options, act)))

    return runs


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from stdin's first line"
    )


def _password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return getpass.getpass("Password: ")


def _with_api(options: argparse.Namespace, act: Act) -> bool:
    url = options.api
    if url is None:
        state = lab.running()
        if state is None:
            raise DarkroomError(
                f"expected an API's address in --api or {API_VARIABLE}, or a running lab; start "
                "one with `darkroom up`"
            )
        url = state.api
    url = url.rstrip("/")
    api = Api(url, tokens.token(url, tokens.default_file()))
    try:
        return act(options, api)
    finally:
        api.close()


def print_result(options: argparse.Namespace, document: Any, text: str) -> None:
    """`text` for people, or `document` where JSON is wanted."""
    if options.json:
        print(json.dumps(document, indent=2))  # noqa: T201  what stdout is for
    else:
        page.print(text)


# -- accounts


def _create_user(options: argparse.Namespace, api: Api) -> bool:
    user = api.sign_up(options.email, options.name, _password(options))
    print_result(options, user, f"[bold]{escape(user['email'])}[/] has an account ({user['id']}).")
    return True


def _list_users(options: argparse.Namespace, api: Api) -> bool:
    users = list(api.users())
    if options.json:
        print_result(options, users, "")
        return True
    table = Table("e-mail", "name", "role", "since", "id", box=None, pad_edge=False)
    for user in users:
        table.add_row(
            *(escape(user[k]) for k in ("email", "name", "role")),
            user["created_at"][:10],
            user["id"],
        )
    page.print(table)
    return True


def _promote(options: argparse.Namespace) -> bool:
    role = Role.CUSTOMER if options.back else Role.ADMINISTRATOR
    user = database.give_role(options.email, role)
    told = {"id": user.id, "email": user.email, "role": user.role.value}
    print_result(
        options, told, f"[bold]{escape(user.email)}[/] is {role.value} now, and signed out."
    )
    return True


def _login(options: argparse.Namespace, api: Api) -> bool:
    opened = api.sign_in(options.email, _password(options))
    tokens.keep(api.url, api.token, tokens.default_file())
    told = {name: value for name, value in opened.items() if name != "token"}
    print_result(
        options,
        told,
        f"Signed in as [bold]{escape(opened['user']['email'])}[/] until {opened['expires_at']} "
        "(longer with every use).",
    )
    return True


def _logout(options: argparse.Namespace, api: Api) -> bool:
    if api.token is not None:
        api.sign_out(everywhere=options.everywhere)
        tokens.keep(api.url, None, tokens.default_file())
    print_result(options, {"signed_in": False}, "Signed out.")
    return True


# -- images


def _list_images(options: argparse.Namespace, api: Api) -> bool:
    images = list(api.images())
    _show_images(options, images)
    return True


def _upload(options: argparse.Namespace, api: Api) -> bool:
    if missing := [str(path) for path in options.paths if not path.is_file()]:
        raise PermanentError(f"expected files, found none at {', '.join(missing)}")
    uploads = []
    with people.status("uploading") as status:
        for number, path in enumerate(options.paths, 1):
            status.update(f"uploading {number} of {len(options.paths)}")
            uploads.append(api.upload(path, keep_location=options.keep_location))
        images = []
        for number, upload in enumerate(uploads, 1):
            status.update(f"developing {number} of {len(uploads)}")
            images.append(api.developed(upload))
    _show_images(options, images)
    return all(image["status"] == "developed" for image in images)


def _show_images(options: argparse.Namespace, images: Sequence[dict[str, Any]]) -> None:
    if options.json:
        print_result(options, images, "")
        return
    table = Table("id", "photo", "pixels", "uploaded", "status", box=None, pad_edge=False)
    for image in images:
        pixels = f"{image['width']} x {image['height']}" if image.get("width") else ""
        status = image["status"]
        table.add_row(
            image["id"],
            escape(", ".join(image["filenames"])),
            pixels,
            image["uploaded_at"][:19].replace("T", " "),
            status if status == "developed" else f"[yellow]{status}[/]",
        )
    page.print(table)
    for image in images:
        if image.get("message"):
            page.print(f"{escape(', '.join(image['filenames']))}: {escape(image['message'])}")


def _show_image(options: argparse.Namespace, api: Api) -> bool:
    image = api.image(options.id)
    if options.json:
        print_result(options, image, "")
    else:
        page.print_json(json.dumps(image))
    return True


def _fetch(options: argparse.Namespace, api: Api) -> bool:
    image = api.image(options.id)
    options.out.mkdir(parents=True, exist_ok=True)
    written = []
    for rendition in image.get("renditions", ()):
        extension = "jpg" if rendition["format"] == "jpeg" else rendition["format"]
        path = options.out / f"{image['id']}-{rendition['name']}.{extension}"
        path.write_bytes(api.download(rendition["url"]))
        written.append(str(path))
    print_result(options, written, "\n".join(map(escape, written)) or "There are no renditions.")
    return True


def _delete_images(options: argparse.Namespace, api: Api) -> bool:
    for image_id in options.ids:
        api.delete_image(image_id)
    print_result(options, options.ids, f"deleted: {len(options.ids)}")
    return True
