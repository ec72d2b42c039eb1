"""`darkroom migrate`, and the database for commands of operators: DATABASE_URL names it, or the
running lab has it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.accounts.account_notices import AccountNotices
from services.accounts.add_user import add_user
from services.accounts.model import Role, User
from services.accounts.reset_second_factor import SecondFactorReset
from services.accounts.roles import change_role
from services.accounts.second_factors import SecondFactors
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.administration.run_operation import Operation
from services.cli.options import ExitCode, Json, Outputs
from services.cli.output import print_json, print_result
from services.local import lab
from services.local.state import LabState
from services.local.terminal import page
from services.operations import deployed
from services.operations.audit import AuditTrail, default_audit_log
from services.operations.remote_functions import MIGRATE_DATABASE, RemoteFunctions
from services.platform.aws.clients import client
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.errors import DarkroomError, PermanentError

SESSIONS_TABLE = "sessions"
ACCOUNT_EVENTS = "account-events"


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(migrate)


def migrate(
    status: Annotated[bool, typer.Option("--status", help="Only show the revision.")] = False,
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Also apply what takes something away from the functions of the release before: "
            "when this release is live.",
        ),
    ] = False,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Bring the database's schema up to date: of this machine's, or on AWS by migrate-database."""
    from services.schema import migrate_database

    to = migrate_database.HEAD if contract else migrate_database.BEFORE_CONTRACT
    if outputs is not None:
        if status:
            raise typer.BadParameter("--status cannot ask a lab on AWS; leave out --outputs")
        answer = RemoteFunctions(deployed.read(outputs)).invoke(MIGRATE_DATABASE, {"to": to})
        done = f"applied {', '.join(answer['applied']) or 'nothing'}"
        text = f"{done}; at revision {answer['revision']}{_waiting(answer['pending'])}"
        print_result(answer, text, as_json=json)
        return ExitCode.DONE
    reached = database()
    applied = [] if status else migrate_database.migrate(reached, to)
    found = migrate_database.status(reached)
    if json:
        print_json({"applied": applied} | dataclasses.asdict(found), indent=None)
    elif found.pending and not status:
        done = f"applied {', '.join(applied) or 'nothing'}"
        page.print(f"{done}; at revision {found.revision}{_waiting(found.pending)}")
    elif found.pending:
        page.print(f"at revision {found.revision}, to be applied: {', '.join(found.pending)}")
    else:
        done = f"applied {', '.join(applied)}; " if applied else ""
        page.print(f"{done}the schema is up to date (revision {found.revision})")
    return ExitCode.DONE


def _waiting(pending: Sequence[str]) -> str:
    if not pending:
        return ""
    return f"; run with --contract when this release is live, to apply {', '.join(pending)}"


def database() -> Database:
    """The database that DATABASE_URL names, with its credentials; the running lab's otherwise."""
    if os.environ.get("DATABASE_URL"):
        return Database(read(DatabaseConfiguration, os.environ))
    state = lab.running()
    if state is None:
        raise DarkroomError(
            "expected a database in DATABASE_URL (and DATABASE_SECRET_ARN), or a running lab; "
            "start one with `darkroom up`"
        )
    return state.database()


def run_remotely(outputs: Path, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Runs an operation in the lab of these outputs, and records it. Raises as
    `RemoteFunctions.run`.
    """
    functions = RemoteFunctions(deployed.read(outputs))
    return functions.run(operation, arguments, AuditTrail(default_audit_log()))


def give_role(email: str, role: Role) -> User:
    """Gives an account another role, and signs it out everywhere. Raises PermanentError where there
    is no such account."""
    dynamodb, table = _sessions()
    user = change_role(Users(database()), SessionStore(dynamodb, table), email, role)
    if user is None:
        raise PermanentError(f"{email!r} has no account; see `darkroom users list`")
    return user


def reset_second_factor(email: str) -> tuple[User, bool]:
    """Removes an account's second factor, signs it out everywhere, and has its owner notified;
    records it. Returns the user and whether there was one. Raises PermanentError where there is no
    such account."""
    (dynamodb, table), reached = _sessions(), database()
    reset = SecondFactorReset(
        Users(reached), SecondFactors(reached), SessionStore(dynamodb, table), _notices()
    )
    AuditTrail(default_audit_log()).record(Operation.RESET_SECOND_FACTOR.value)
    found = reset.reset(email)
    if found is None:
        raise PermanentError(f"{email!r} has no account; see `darkroom users list`")
    return found


def add_account(email: str, name: str, password: str) -> User:
    """Creates an account whose address is taken as confirmed. Raises PermanentError when it cannot
    be created."""
    return add_user(Users(database()), email, name, password)


def _sessions() -> tuple[Any, str]:
    if os.environ.get("DATABASE_URL"):
        table = os.environ.get("SESSIONS_TABLE")
        if not table:
            raise PermanentError("SESSIONS_TABLE is not set (its sessions end with the old role)")
        return client("dynamodb"), table
    state = _running_lab()
    return state.session.client("dynamodb"), state.tables[SESSIONS_TABLE]


def _notices() -> AccountNotices:
    if os.environ.get("DATABASE_URL"):
        topic_arn = os.environ.get("ACCOUNT_EVENTS_TOPIC_ARN")
        if not topic_arn:
            raise PermanentError("ACCOUNT_EVENTS_TOPIC_ARN is not set (the owner gets an e-mail)")
        return AccountNotices(lambda: client("sns"), topic_arn)
    state = _running_lab()
    return AccountNotices(lambda: state.session.client("sns"), state.topics[ACCOUNT_EVENTS])


def _running_lab() -> LabState:
    state = lab.running()
    if state is None:
        raise DarkroomError("expected a running lab, found none; start one with `darkroom up`")
    return state
