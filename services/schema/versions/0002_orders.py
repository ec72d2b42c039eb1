"""Products, stock, orders with their lines, reservations of stock, and the history of orders.

Amounts are in the minor unit of their currency. A trigger makes the history append-only.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE products (
            id text PRIMARY KEY CHECK (id ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(id) <= 64),
            name text NOT NULL,
            paper text NOT NULL,
            width_mm numeric(5, 1) NOT NULL CHECK (width_mm BETWEEN 20 AND 900),
            height_mm numeric(5, 1) NOT NULL CHECK (height_mm BETWEEN 20 AND 900),
            price_minor integer NOT NULL CHECK (price_minor > 0),
            currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            sold_now boolean NOT NULL DEFAULT true
        )
    """)
    # on_hand includes reserved. The check prevents overselling.
    op.execute("""
        CREATE TABLE stock (
            product_id text PRIMARY KEY REFERENCES products,
            on_hand integer NOT NULL,
            reserved integer NOT NULL DEFAULT 0,
            sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
            CHECK (0 <= reserved AND reserved <= on_hand)
        )
    """)
    op.execute("""
        CREATE TABLE orders (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL REFERENCES users,
            recipient text NOT NULL,
            status text NOT NULL CHECK (status IN (
                'created', 'validated', 'reserved', 'paid', 'fulfilled', 'shipped', 'rejected',
                'out_of_stock', 'payment_declined', 'cancelled', 'failed'
            )),
            currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            total_minor integer NOT NULL CHECK (total_minor > 0),
            payment_method text NOT NULL,
            delivery jsonb NOT NULL,
            idempotency_key text,
            request_hash text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            settled_at timestamptz,
            refund_id text,
            UNIQUE (user_id, idempotency_key)
        )
    """)
    op.execute("CREATE INDEX orders_by_user ON orders (user_id, created_at, id)")
    # Partial indexes: only orders that still need work.
    op.execute("CREATE INDEX orders_unstarted ON orders (created_at) WHERE started_at IS NULL")
    op.execute("""
        CREATE INDEX orders_open ON orders (updated_at)
        WHERE status IN ('created', 'validated', 'reserved', 'paid')
    """)
    op.execute("""
        CREATE INDEX orders_unsettled ON orders (updated_at)
        WHERE settled_at IS NULL
        AND status IN ('rejected', 'out_of_stock', 'payment_declined', 'cancelled', 'failed')
    """)
    op.execute("""
        CREATE TABLE order_lines (
            order_id uuid NOT NULL REFERENCES orders,
            number integer NOT NULL CHECK (number > 0),
            product_id text NOT NULL REFERENCES products,
            product_name text NOT NULL,
            paper text NOT NULL,
            width_mm numeric(5, 1) NOT NULL,
            height_mm numeric(5, 1) NOT NULL,
            unit_price_minor integer NOT NULL CHECK (unit_price_minor > 0),
            image_id text NOT NULL,
            quantity integer NOT NULL CHECK (quantity > 0),
            focus_x double precision CHECK (focus_x BETWEEN 0 AND 1),
            focus_y double precision CHECK (focus_y BETWEEN 0 AND 1),
            orientation text NOT NULL,
            PRIMARY KEY (order_id, number),
            CHECK ((focus_x IS NULL) = (focus_y IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE reservations (
            order_id uuid NOT NULL REFERENCES orders,
            product_id text NOT NULL REFERENCES stock,
            quantity integer NOT NULL CHECK (quantity > 0),
            state text NOT NULL CHECK (state IN ('reserved', 'released', 'sold')),
            PRIMARY KEY (order_id, product_id)
        )
    """)
    op.execute("""
        CREATE TABLE order_transitions (
            order_id uuid NOT NULL REFERENCES orders,
            number integer NOT NULL CHECK (number > 0),
            from_status text,
            to_status text NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            cause text NOT NULL,
            detail jsonb NOT NULL,
            PRIMARY KEY (order_id, number),
            UNIQUE (order_id, to_status)
        )
    """)
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER order_transitions_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON order_transitions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
