"""The right of operators to reset second factors."""

from alembic import op

revision = "0009"
down_revision = "0008"

ROLE = "darkroom_operators"


def upgrade() -> None:
    # Recovery codes are deleted with their second factor, by the table's foreign key.
    op.execute(f"GRANT SELECT (user_id, confirmed_at), DELETE ON second_factors TO {ROLE}")
