"""Second factors of accounts: the secrets of authenticator apps, and recovery codes."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # Until `confirmed_at`, the secret is not used. `last_step` is the time step of the last
    # accepted code: no code is accepted twice.
    op.execute("""
        CREATE TABLE second_factors (
            user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
            secret bytea NOT NULL,
            confirmed_at timestamptz,
            last_step bigint NOT NULL DEFAULT 0
        )
    """)
    op.execute("""
        CREATE TABLE recovery_codes (
            user_id uuid NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
            code_hash text NOT NULL,
            PRIMARY KEY (user_id, code_hash)
        )
    """)
    op.execute(
        "GRANT SELECT, INSERT, DELETE, UPDATE (secret, confirmed_at, last_step) "
        "ON second_factors TO darkroom_accounts"
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON recovery_codes TO darkroom_accounts")
    op.execute("GRANT SELECT (user_id), DELETE ON second_factors TO darkroom_erasure")
    op.execute("GRANT SELECT (user_id, confirmed_at) ON second_factors TO darkroom_export")
    op.execute("GRANT SELECT (user_id) ON recovery_codes TO darkroom_export")
