"""The functions' way to Postgres: a connection per execution environment, a transaction per use.

    database = Database(read(DatabaseConfiguration, os.environ))
    with database.transaction() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = %s", [user_id])

The connection is made at the first use. Every transaction begins with one round trip that also asks
whether the connection is still good; one that broke while it was idle (a restart, a failover, a
proxy that closed it) is replaced there, before anything of the caller's was executed, and the
caller does not notice. Nothing that may have had an effect is ever repeated.

Behind RDS Proxy a session that sets a variable with SET is pinned to one server connection for its
life, and the start-up parameter `options` is refused ("RDS Proxy currently doesn't support
command-line options"). So the timeouts are SET LOCAL, which ends with its transaction.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html

psycopg2 and botocore are imported when they are needed, so that a function that only names this
module does not pay for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from services.platform import deadline, tracing
from services.platform.aws.errors import is_transient
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError, PermanentError, TransientError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

# An RDS token may be used to connect for this long:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
TOKEN_SECONDS = 900
# A peer that vanished without a word (a failed zone, a dropped mapping) is given up after this.
PEER_TIMEOUT_SECONDS = 10
DEFAULT_PORT = 5432
APPLICATION_NAME_CHARACTERS = 63

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OUTAGE_CLASSES = {
    "08": "the connection failed",
    "53": "the server has no room for more",
    "57": "the server ended the work",
    "58": "the server's system failed",
}
_OUTAGES = {
    "25006": "the server takes no writes (a failover, perhaps)",
    "25P03": "the transaction was idle for too long",
    "25P04": "the transaction took too long",
    "40001": "another transaction was in the way (serialization)",
    "40P01": "another transaction was in the way (deadlock)",
    "55P03": "a lock was not free in time",
    "57014": "the statement took too long",
    "57P01": "the server is shutting down",
    "57P03": "the server is starting or stopping",
}
READ_ONLY = "25006"


@dataclass(frozen=True)
class DatabaseConfiguration:
    """How Postgres is reached. Without `secret_arn` the URL's user signs in with an IAM token."""

    url: str = variable("DATABASE_URL", help="postgresql://USER@HOST:PORT/DATABASE?sslmode=...")
    secret_arn: str | None = variable("DATABASE_SECRET_ARN", default=None)
    ca_bundle: Path | None = variable(
        "DATABASE_CA_BUNDLE", default=None, help="certificate authorities of the server, PEM"
    )
    connect_timeout_seconds: int = variable(
        "DATABASE_CONNECT_TIMEOUT_SECONDS", default=5, minimum=2
    )
    statement_timeout_seconds: float = variable(
        "DATABASE_STATEMENT_TIMEOUT_SECONDS", default=10.0, minimum=0.01
    )
    # Of a function that froze or was killed in the middle; its locks go with it.
    idle_timeout_seconds: float = variable(
        "DATABASE_IDLE_TIMEOUT_SECONDS", default=15.0, minimum=0.01
    )
    application_name: str = variable("AWS_LAMBDA_FUNCTION_NAME", default="darkroom")
    role: str | None = variable(
        "DATABASE_ROLE", default=None, help="the role of each transaction; the user's own if unset"
    )


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Address:
    """Where a URL points."""

    host: str
    port: int
    name: str
    username: str
    sslmode: str


@dataclass
class Database:
    """The database of one execution environment. Not to be shared between threads.

    `secrets` is a Secrets Manager client; the process's own where none is given.
    """

    configuration: DatabaseConfiguration
    secrets: Any = None
    _connection: Connection | None = field(default=None, repr=False)
    _credentials: Credentials | None = field(default=None, repr=False)
    _busy: bool = False

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor in a transaction of its own: committed at the end, rolled back on an error.

        Raises TransientError when Postgres is away or gives up (shutting down, failing over, a
        timeout, a deadlock); whether a commit took place is then unknown if the connection was lost
        during it. What a statement itself did wrong (psycopg2.errors.UniqueViolation and so on) is
        the caller's; after it the transaction can only be left by an exception.
        """
        if self._busy:
            raise PermanentError("expected one transaction at a time, got one inside another")
        self._busy = True
        try:
            connection = self._begin()
            try:
                with connection.cursor() as cursor:
                    yield cursor
                _commit(connection)
            except BaseException as error:
                self._leave(connection, error)
                if (outage := as_transient(error)) is not None:
                    raise outage from error
                raise
        finally:
            self._busy = False

    def connect(self) -> Connection:
        """A new connection, the caller's own to close; statements run outside transactions.

        Raises TransientError when there is none to be had.
        """
        import psycopg2

        credentials = self._credentials or self._fetch_credentials()
        try:
            return self._open(credentials)
        except psycopg2.OperationalError as error:
            failure = error
        # The server answered and refused: the password may have been rotated since it was read.
        # (libpq gives no SQLSTATE for a failed connection, and servers translate their messages.)
        if "FATAL" in str(failure) and self.configuration.secret_arn:
            newer = self._fetch_credentials()
            if newer != credentials:
                try:
                    return self._open(newer)
                except psycopg2.OperationalError as error:
                    failure = error
        raise TransientError(f"Postgres cannot be reached: {_first_line(failure)}") from failure

    def close(self) -> None:
        """Ends the connection, if there is one; the next transaction makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _begin(self) -> Connection:
        import psycopg2

        if self._connection is not None:
            try:
                if self._start(self._connection):
                    return self._connection
            except psycopg2.Error:
                pass  # broken while it was idle; nothing of the caller's was executed on it
            self.close()
        self._connection = self.connect()
        try:
            # A fresh connection to a server that takes no writes: reads work, and a write says so.
            self._start(self._connection)
        except psycopg2.Error as error:
            self.close()
            raise as_transient(error) or error from error
        return self._connection

    def _start(self, connection: Connection) -> bool:
        """Begins a transaction, in one round trip; whether it may write and is a new one."""
        if connection.info.transaction_status != 0:  # libpq's PQTRANS_IDLE
            return False  # a transaction before was cut in the middle (a signal, perhaps)
        with connection.cursor() as cursor:
            cursor.execute(
                f"BEGIN; {self._role(cursor)}SET LOCAL statement_timeout = %s; "
                "SET LOCAL idle_in_transaction_session_timeout = %s; SHOW transaction_read_only",
                [
                    round(_within_invocation(self.configuration.statement_timeout_seconds) * 1000),
                    round(self.configuration.idle_timeout_seconds * 1000),
                ],
            )
            return cursor.fetchone() == ("off",)

    def _role(self, cursor: Cursor) -> str:
        """The statement that takes the function's role for a transaction; empty without one."""
        from psycopg2.extensions import quote_ident

        role = self.configuration.role
        return "" if role is None else f"SET LOCAL ROLE {quote_ident(role, cursor)}; "

    def _leave(self, connection: Connection, error: BaseException) -> None:
        """Rolls back, or lets go of a connection that is of no more use."""
        if getattr(error, "pgcode", None) == READ_ONLY or connection.closed:
            self.close()
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  whatever it is, the connection is not to be used again
            self.close()

    def _open(self, credentials: Credentials) -> Connection:
        import psycopg2

        address = parse(self.configuration.url)
        tls: dict[str, Any] = {"sslmode": address.sslmode}
        if address.sslmode.startswith("verify-"):
            tls["sslrootcert"] = str(self.configuration.ca_bundle or _public_authorities())
        connection: Connection = psycopg2.connect(
            host=address.host,
            port=address.port,
            dbname=address.name,
            user=credentials.username,
            password=credentials.password,
            # libpq treats one second as two.
            connect_timeout=max(
                2, int(_within_invocation(self.configuration.connect_timeout_seconds))
            ),
            application_name=self.configuration.application_name[:APPLICATION_NAME_CHARACTERS],
            keepalives_idle=PEER_TIMEOUT_SECONDS // 2,
            keepalives_interval=PEER_TIMEOUT_SECONDS // 5,
            keepalives_count=3,
            tcp_user_timeout=PEER_TIMEOUT_SECONDS * 1000,
            cursor_factory=tracing.cursor_factory(),
            **tls,
        )
        # Transactions are begun and ended here, so that beginning one costs a single round trip.
        connection.autocommit = True
        return connection

    def _fetch_credentials(self) -> Credentials:
        address = parse(self.configuration.url)
        arn = self.configuration.secret_arn
        if arn is None:
            # Signed anew for every connection, since it holds for a quarter of an hour only.
            return Credentials(address.username, iam_token(address))
        self._credentials = self._read_secret(arn)
        return self._credentials

    def _read_secret(self, arn: str) -> Credentials:
        from services.platform.aws.clients import client

        manager = self.secrets or client("secretsmanager")
        try:
            text = manager.get_secret_value(SecretId=arn)["SecretString"]
        except Exception as error:
            if is_transient(error):
                raise TransientError("the secret of the database cannot be read") from error
            raise
        try:
            values = json.loads(text)
            return Credentials(str(values["username"]), str(values["password"]))
        except (ValueError, KeyError, TypeError):
            # Without the cause: its message may hold the secret.
            raise ConfigurationError(
                arn, ['expected a secret {"username": ..., "password": ...}, got something else']
            ) from None


def _within_invocation(seconds: float) -> float:
    """A timeout that ends before the invocation does. Raises TransientError without time left."""
    left = deadline.seconds_left()
    if left <= 0:
        raise TransientError("no time left in the invocation to query Postgres")
    return min(seconds, left)


def as_transient(error: BaseException) -> TransientError | None:
    """What a psycopg2 error means when it is an outage or a collision: to be tried again."""
    import psycopg2

    if not isinstance(error, psycopg2.Error):
        return None
    code = error.pgcode
    if code is None:
        # libpq's own: the connection is lost. Also of a cursor whose connection went before.
        lost = isinstance(error, psycopg2.OperationalError) or "closed" in str(error)
        return TransientError(f"Postgres was lost: {_first_line(error)}") if lost else None
    meaning = _OUTAGES.get(code) or _OUTAGE_CLASSES.get(code[:2])
    if meaning is None:
        return None
    return TransientError(f"Postgres: {meaning} (SQLSTATE {code}: {_first_line(error)})")


def parse(url: str) -> Address:
    """The parts of a database URL. Raises ConfigurationError, which does not repeat the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _wrong_url("something that is no URL") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise _wrong_url("another scheme")
    if parts.password is not None:
        raise _wrong_url("one with a password in it: passwords come from a secret")
    if not (parts.hostname and parts.username and parts.path.strip("/")):
        raise _wrong_url("one without a host, a user or a database")
    if unknown := options.keys() - {"sslmode"}:
        raise _wrong_url(f"one with {', '.join(sorted(unknown))}")
    return Address(
        host=parts.hostname,
        port=port,
        name=unquote(parts.path.strip("/")),
        username=unquote(parts.username),
        sslmode=options.get("sslmode", "verify-full"),
    )


def iam_token(address: Address) -> str:
    """A token to sign in to RDS with, in place of a password, signed with the process's own
    credentials. What botocore's `generate_db_auth_token` makes, without loading the description of
    RDS. Raises ConfigurationError when there are no credentials or no region.
    """
    import botocore.session
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest

    session = botocore.session.get_session()
    credentials, region = session.get_credentials(), session.get_config_variable("region")
    region = region or os.environ.get("AWS_REGION")
    if credentials is None or not region:
        raise ConfigurationError(
            "DATABASE_SECRET_ARN", ["expected it, or AWS credentials and AWS_REGION; got neither"]
        )
    query = urlencode({"Action": "connect", "DBUser": address.username})
    request = AWSRequest("GET", f"https://{address.host}:{address.port}/?{query}")
    SigV4QueryAuth(
        credentials.get_frozen_credentials(), "rds-db", region, expires=TOKEN_SECONDS
    ).add_auth(request)
    return str(request.url).removeprefix("https://")


def _commit(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
        # Postgres answers so when a statement had failed and the caller went on regardless.
        if cursor.statusmessage == "ROLLBACK":
            raise PermanentError(
                "expected a failed statement to end its transaction, got a commit after it; "
                "nothing was committed"
            )


def _public_authorities() -> Path:
    """The authorities that come with botocore. RDS Proxy's certificates are from one of them; those
    of an RDS instance are not, and need DATABASE_CA_BUNDLE."""
    import botocore

    return Path(botocore.__file__).with_name("cacert.pem")


def _wrong_url(got: str) -> ConfigurationError:
    return ConfigurationError(
        "DATABASE_URL", [f"expected postgresql://USER@HOST:PORT/DATABASE?sslmode=..., got {got}"]
    )


def _first_line(error: BaseException) -> str:
    """The message without its DETAIL, which may repeat a row's values."""
    return (str(error).splitlines() or [""])[0].strip()
