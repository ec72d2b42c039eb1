"""`darkroom users`, `sessions`, `login` and `logout`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.accounts.model import Role
from services.administration.run_operation import Operation
from services.cli import database
from services.cli.connection import ApiAddress, connected, is_embedded, password, second_factor_code
from services.cli.options import ExitCode, Json, Outputs, PasswordStdin, group, whole_id
from services.cli.output import print_result
from services.client import tokens
from services.client.api import Api, ApiProblem
from services.local import lab

users = group("Create an account, list them all.")
sessions = group("List your open sessions; end one or all others.")

SECOND_FACTOR_REQUIRED = "second-factor-required"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's e-mail address.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(users, name="users")
    app.add_typer(sessions, name="sessions")
    app.command()(login)
    app.command()(logout)


@users.command()
def create(
    email: Email,
    name: Annotated[str | None, typer.Option(help="The customer's name, with --code.")] = None,
    code: Annotated[str | None, typer.Option(help="The code that the e-mail has.")] = None,
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Create an account: first has a code sent, then creates it with --code and --name, and asks
    for its password."""
    if (code is None) != (name is None):
        raise typer.BadParameter("expected both --code and --name, or none to get a code")
    with connected(api) as reached:
        if code is None or name is None:
            reached.sign_up(email)
            text = _next_step("users create", email, "--name NAME --code CODE", reached)
            print_result({"email": email, "code_requested": True}, text, as_json=json)
            return ExitCode.DONE
        user = reached.confirm(email, code, name, password(from_stdin=password_stdin))
    text = f"[bold]{escape(user['email'])}[/] has an account ({user['id']})."
    print_result(user, text, as_json=json)
    return ExitCode.DONE


def _next_step(command: str, email: str, options: str, reached: Api) -> str:
    """What to do with the code of an e-mail."""
    where = ""
    if is_embedded(reached) and (state := lab.running()) is not None:
        where = f" The lab stores its e-mails in {escape(state.mail_folder)}."
    return (
        f"An e-mail is on its way to [bold]{escape(email)}[/].{where} Then run\n"
        f"darkroom {command} {escape(shlex.quote(email))} {options}"
    )


@users.command("add")
def add_account(
    email: Email,
    name: Annotated[str, typer.Option(help="The customer's name.")],
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> ExitCode:
    """Create an account without an e-mail, at the database itself; asks for its password."""
    user = database.add_account(email, name, password(from_stdin=password_stdin))
    text = f"[bold]{escape(user.email)}[/] has an account ({user.id})."
    print_result({"id": user.id, "email": user.email, "name": user.name}, text, as_json=json)
    return ExitCode.DONE


@users.command("reset-password")
def reset_password(
    email: Email,
    code: Annotated[str | None, typer.Option(help="The code that the e-mail has.")] = None,
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Replace a forgotten password: first has a code sent, then asks for the new one with
    --code."""
    with connected(api) as reached:
        if code is None:
            reached.request_password_reset(email)
            text = _next_step("users reset-password", email, "--code CODE", reached)
            print_result({"email": email, "code_requested": True}, text, as_json=json)
            return ExitCode.DONE
        reached.reset_password(email, code, password(from_stdin=password_stdin))
    text = f"The password of [bold]{escape(email)}[/] is changed; all its sessions are closed."
    print_result({"email": email, "password_reset": True}, text, as_json=json)
    return ExitCode.DONE


@users.command("list")
def list_users(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List every account, for administrators."""
    with connected(api) as reached:
        found = list(reached.users())
    table = Table("e-mail", "name", "role", "since", "id", box=None, pad_edge=False)
    for user in found:
        table.add_row(
            *(escape(user[key]) for key in ("email", "name", "role")),
            user["created_at"][:10],
            user["id"],
        )
    print_result(found, table, as_json=json)
    return ExitCode.DONE


@users.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the JSON document goes.")],
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Export the data of the account that is signed in, as one JSON document with links to its
    photos; waits until it is ready."""
    with connected(api) as reached:
        export = reached.exported()
        content = reached.download(export["url"])
    # Personal data: readable for this user only.
    with os.fdopen(os.open(file, _NEW_FILE, 0o600), "wb") as opened:
        opened.write(content)
    found = {"file": str(file), "bytes": len(content), "expires_at": export["expires_at"]}
    text = (
        f"Wrote {escape(str(file))} ({len(content)} bytes). Its links to photos are valid until "
        f"about {export['expires_at']}."
    )
    print_result(found, text, as_json=json)
    return ExitCode.DONE


@users.command()
def delete(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Delete the account that is signed in, with its photos; asks for its password."""
    with connected(api) as reached:
        email = reached.session()["user"]["email"]
        if not yes:
            typer.confirm(f"Delete the account {email} and all its photos?", abort=True, err=True)
        reached.delete_account(password(from_stdin=password_stdin))
        tokens.keep(reached.url, None, tokens.default_file())
    text = f"The account [bold]{escape(email)}[/] is closed; its data will be deleted."
    print_result({"email": email, "deletion_requested": True}, text, as_json=json)
    return ExitCode.DONE


@users.command()
def promote(
    email: Email,
    back: Annotated[
        bool, typer.Option("--back", help="Make it a customer's account again.")
    ] = False,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Make an account an administrator's: at the database itself, or on AWS by run-operation."""
    role = Role.CUSTOMER if back else Role.ADMINISTRATOR
    if outputs is not None:
        arguments = {"email": email, "role": role.value}
        document = database.run_remotely(outputs, Operation.CHANGE_ROLE, arguments)
    else:
        user = database.give_role(email, role)
        document = {"id": user.id, "email": user.email, "role": user.role.value}
    text = f"[bold]{escape(document['email'])}[/] is {role.value} now, and signed out."
    print_result(document, text, as_json=json)
    return ExitCode.DONE


@users.command("reset-second-factor")
def reset_second_factor(
    email: Email,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Remove the second factor of an account whose owner has lost phone and recovery codes: at the
    database itself, or on AWS by run-operation. Ends its sessions; the owner gets an e-mail."""
    if outputs is not None:
        document = database.run_remotely(outputs, Operation.RESET_SECOND_FACTOR, {"email": email})
    else:
        user, removed = database.reset_second_factor(email)
        document = {"id": user.id, "email": user.email, "removed": removed}
    what = "The second factor was removed" if document["removed"] else "There is no second factor"
    text = f"{what}; [bold]{escape(document['email'])}[/] is signed out everywhere."
    print_result(document, text, as_json=json)
    return ExitCode.DONE


@sessions.command("list")
def list_sessions(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List your open sessions, newest first."""
    with connected(api) as reached:
        found = list(reached.sessions())
    table = Table("id", "opened", "last used", "expires", "", box=None, pad_edge=False)
    for session in found:
        table.add_row(
            *(escape(session[key]) for key in ("id", "created_at", "used_at", "expires_at")),
            "this one" if session["current"] else "",
        )
    print_result(found, table, as_json=json)
    return ExitCode.DONE


@sessions.command("end")
def end_session(
    session_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The session's id, or its beginning.")
    ] = None,
    others: Annotated[
        bool, typer.Option("--others", help="End all sessions except this one.")
    ] = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """End one of your sessions, or all others."""
    if (session_id is None) != others:
        raise typer.BadParameter("expected the id of one session, or --others")
    with connected(api) as reached:
        if session_id is None:
            reached.close_other_sessions()
            print_result({"ended": "others"}, "Ended all other sessions.", as_json=json)
            return ExitCode.DONE
        known = [session["id"] for session in reached.sessions()]
        chosen = whole_id(session_id, known, "session")
        reached.revoke_session(chosen)
    print_result({"ended": chosen}, f"Ended session {escape(chosen)}.", as_json=json)
    return ExitCode.DONE


def login(
    email: Email,
    code: Annotated[
        str | None,
        typer.Option(
            help="The code of a second factor; asked for if the account has one, the second line "
            "of stdin with --password-stdin."
        ),
    ] = None,
    password_stdin: PasswordStdin = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Sign in; later commands use the session."""
    with connected(api) as reached:
        secret = password(from_stdin=password_stdin)
        file, of_device = tokens.default_file(), tokens.of_device(reached.url, email)
        device_token = tokens.token(of_device, file)
        try:
            opened = reached.sign_in(email, secret, code, device_token)
        except ApiProblem as problem:
            if problem.slug != SECOND_FACTOR_REQUIRED:
                raise
            code = second_factor_code(from_stdin=password_stdin)
            opened = reached.sign_in(email, secret, code, device_token)
        tokens.keep(reached.url, reached.token, file)
        tokens.keep(of_device, opened["device_token"] or device_token, file)
    document = {name: opened[name] for name in opened if name not in {"token", "device_token"}}
    text = (
        f"Signed in as [bold]{escape(opened['user']['email'])}[/] until {opened['expires_at']} "
        "(longer with every use)."
    )
    print_result(document, text, as_json=json)
    return ExitCode.DONE


def logout(
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all sessions of the account.")
    ] = False,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """End the session."""
    with connected(api) as reached:
        if reached.token is not None:
            reached.sign_out(everywhere=everywhere)
            tokens.keep(reached.url, None, tokens.default_file())
    print_result({"signed_in": False}, "Signed out.", as_json=json)
    return ExitCode.DONE
