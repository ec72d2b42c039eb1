"""Codes that prove that a person reads the e-mails of an address, and the role of their sender.

Accounts that exist have confirmed addresses: a sign-up becomes an account when it is confirmed.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

ROLE = "darkroom_account_mail"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE address_codes (
            token_hash text PRIMARY KEY,
            purpose text NOT NULL CHECK (purpose IN ('sign-up', 'password-reset')),
            email text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
            code_hash text NOT NULL,
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute(
        'CREATE INDEX address_codes_by_email ON address_codes (lower(email COLLATE "C"), purpose)'
    )
    op.execute("CREATE INDEX address_codes_by_expiry ON address_codes (expires_at)")
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END $$
    """)
    op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    op.execute(f"GRANT SELECT (id, email, name, deletion_requested_at) ON users TO {ROLE}")
    op.execute(f"GRANT INSERT ON address_codes TO {ROLE}")
    op.execute("GRANT SELECT, DELETE ON address_codes TO darkroom_accounts")
    op.execute("GRANT SELECT (expires_at), DELETE ON address_codes TO darkroom_erasure")
