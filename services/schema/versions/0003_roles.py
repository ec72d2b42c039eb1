"""Roles of the functions, each with the least rights that its group needs.

Functions sign in as the owner of the schema and take a role with SET LOCAL ROLE in each transaction
(services/platform/database.py). Roles belong to the server and not to one database, so they may
exist before. A later revision that adds a table or a column grants it to the roles that use it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

ROLES = ("darkroom_accounts", "darkroom_orders", "darkroom_orders_reader")


def upgrade() -> None:
    for role in ROLES:
        op.execute(f"""
            DO $$ BEGIN
                CREATE ROLE {role} NOLOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END $$
        """)
        op.execute(f"GRANT {role} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")

    # A role of a user is changed by operators alone.
    op.execute("GRANT SELECT, INSERT, UPDATE (password_hash) ON users TO darkroom_accounts")

    op.execute("GRANT SELECT ON products, stock TO darkroom_orders, darkroom_orders_reader")
    op.execute(
        "GRANT SELECT ON orders, order_lines, order_transitions "
        "TO darkroom_orders, darkroom_orders_reader"
    )
    op.execute("GRANT SELECT (id, name) ON users TO darkroom_orders, darkroom_orders_reader")
    op.execute("GRANT INSERT ON orders, order_lines, order_transitions TO darkroom_orders")
    op.execute(
        "GRANT UPDATE (status, updated_at, started_at, settled_at, refund_id) ON orders "
        "TO darkroom_orders"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE (state) ON reservations TO darkroom_orders")
    op.execute("GRANT UPDATE (on_hand, reserved, sold) ON stock TO darkroom_orders")
