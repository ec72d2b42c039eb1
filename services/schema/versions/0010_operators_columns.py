"""The role of run-operation reads the columns of users that it needs, without password_hash."""

from alembic import op

revision = "0010"
down_revision = "0009"
# The run-operation before this release reads all columns.
contracts = True


def upgrade() -> None:
    # Postgres cannot revoke a column of a right that was granted for the table.
    op.execute("REVOKE SELECT ON users FROM darkroom_operators")
    op.execute("GRANT SELECT (id, email, name, role, created_at) ON users TO darkroom_operators")
