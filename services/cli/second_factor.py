"""`darkroom second-factor`: codes of an authenticator app at sign-in."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from services.cli.connection import ApiAddress, connected, password, second_factor_code
from services.cli.options import ExitCode, Json, PasswordStdin, group
from services.cli.output import print_result

second_factor = group("Sign in with codes of an authenticator app.")

Code = Annotated[
    str | None,
    typer.Option(help="The code that the app shows, or a recovery code; asked for by default."),
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(second_factor, name="second-factor")


@second_factor.command()
def status(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Show whether the account has a second factor."""
    with connected(api) as reached:
        state = reached.second_factor()
    text = "off"
    if state["enabled"]:
        text = f"on, with {state['recovery_codes_left']} recovery codes left"
    print_result(state, f"The second factor is {text}.", as_json=json)
    return ExitCode.DONE


@second_factor.command()
def enable(
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Set up a second factor: shows the secret for the app, asks for the first code, and shows the
    recovery codes. Closes all other sessions."""
    with connected(api) as reached:
        enrolled = reached.enrol_second_factor(password(from_stdin=password_stdin))
        # Also with --json, on stderr: the code cannot be known without it.
        typer.echo(f"Secret: {enrolled['secret']}\n{enrolled['otpauth_uri']}", err=True)
        codes = reached.confirm_second_factor(second_factor_code(from_stdin=password_stdin))
    text = "The second factor is on. Recovery codes, each valid once:\n" + "\n".join(codes)
    print_result({"enabled": True, "recovery_codes": codes}, text, as_json=json)
    return ExitCode.DONE


@second_factor.command()
def disable(
    code: Code = None,
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Switch the second factor off; asks for the password and a code."""
    with connected(api) as reached:
        email = reached.session()["user"]["email"]
        secret = password(from_stdin=password_stdin)
        reached.remove_second_factor(secret, code or second_factor_code(from_stdin=password_stdin))
    text = f"The second factor of [bold]{escape(email)}[/] is off."
    print_result({"enabled": False}, text, as_json=json)
    return ExitCode.DONE
