"""The API that a command talks to."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from services.client import tokens
from services.client.api import Api
from services.local import lab
from services.platform.errors import DarkroomError

API_VARIABLE = "DARKROOM_API"
KEY_VARIABLE = "DARKROOM_API_KEY"

ApiAddress = Annotated[
    str | None,
    typer.Option(
        "--api",
        envvar=API_VARIABLE,
        metavar="URL",
        help="Address of the API; the running lab's by default.",
    ),
]


@contextmanager
def connected(address: str | None) -> Iterator[Api]:
    """The API at `address`, or that of the running lab, with the API key in KEY_VARIABLE or
    else the stored session.

    Raises DarkroomError when there is no address and no lab.
    """
    url = _lab_address() if address is None else address
    if url is None:
        raise DarkroomError(
            f"expected an API's address in --api or {API_VARIABLE}, or a running lab; start "
            "one with `darkroom up`"
        )
    url = url.rstrip("/")
    api = Api(url, os.environ.get(KEY_VARIABLE) or tokens.token(url, tokens.default_file()))
    try:
        yield api
    finally:
        api.close()


def is_embedded(api: Api) -> bool:
    """Whether this is the API of the lab that runs here."""
    return api.url == _lab_address()


def _lab_address() -> str | None:
    state = lab.running()
    return state.api.rstrip("/") if state is not None else None


def password(*, from_stdin: bool) -> str:
    """The password from stdin's first line, or typed without echo."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return getpass.getpass("Password: ")


def second_factor_code(*, from_stdin: bool) -> str:
    """The code of an authenticator app, from stdin's next line, or typed without echo."""
    if from_stdin:
        return sys.stdin.readline().strip()
    return getpass.getpass("Code of your authenticator app: ").strip()
