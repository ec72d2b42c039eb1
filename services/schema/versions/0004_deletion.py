"""Deletion of accounts: when it was asked for, and the role of the function that erases them."""

from alembic import op

revision = "0004"
down_revision = "0003"

ROLE = "darkroom_erasure"


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN deletion_requested_at timestamptz")
    op.execute("ALTER TABLE users ADD COLUMN erased_at timestamptz")
    op.execute("""
        CREATE INDEX users_to_erase ON users (deletion_requested_at)
        WHERE deletion_requested_at IS NOT NULL AND erased_at IS NULL
    """)
    op.execute("GRANT UPDATE (deletion_requested_at) ON users TO darkroom_accounts")
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
        "GRANT SELECT (id, deletion_requested_at, erased_at), DELETE, "
        f"UPDATE (email, name, erased_at) ON users TO {ROLE}"
    )
    op.execute(
        "GRANT SELECT (id, user_id, status, settled_at, delivery), "
        f"UPDATE (recipient, delivery, idempotency_key) ON orders TO {ROLE}"
    )
