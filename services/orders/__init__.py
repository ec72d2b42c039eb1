"""Orders of prints: products, stock, orders and their history, in Postgres."""
