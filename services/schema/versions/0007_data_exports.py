"""Exports of customers' data, at most one a user, and the role of the function that writes them."""

from alembic import op

revision = "0007"
down_revision = "0006"

ROLE = "darkroom_export"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE data_exports (
            user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
            id text NOT NULL UNIQUE,
            requested_at timestamptz NOT NULL DEFAULT now(),
            made_at timestamptz,
            bytes bigint
        )
    """)
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END $$
    """)
    op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    op.execute(
        "GRANT SELECT (id, email, name, role, created_at, deletion_requested_at) "
        f"ON users TO {ROLE}"
    )
    op.execute(f"GRANT SELECT ON orders, order_lines, order_transitions TO {ROLE}")
    op.execute(f"GRANT SELECT, UPDATE (made_at, bytes) ON data_exports TO {ROLE}")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE (id, requested_at, made_at, bytes) "
        "ON data_exports TO darkroom_accounts"
    )
    op.execute("GRANT SELECT (user_id), DELETE ON data_exports TO darkroom_erasure")
