"""The table of users.

Addresses are ASCII, so a comparison of their lower case is the same in every locale.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE users (
            id uuid PRIMARY KEY,
            email text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
            name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
            role text NOT NULL CHECK (role IN ('customer', 'administrator')),
            password_hash text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute('CREATE UNIQUE INDEX users_by_email ON users (lower(email COLLATE "C"))')
    op.execute("CREATE INDEX users_by_time ON users (created_at, id)")
