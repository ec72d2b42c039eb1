"""The role of run-operation, which offers products and names administrators."""

from alembic import op

revision = "0005"
down_revision = "0004"

ROLE = "darkroom_operators"


def upgrade() -> None:
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END $$
    """)
    op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    op.execute(f"GRANT SELECT, UPDATE (role) ON users TO {ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON products, stock TO {ROLE}")
