"""Orders of prints: products, stock, orders and their history, in Postgres.

Each function has a module of its own. The state machine in terraform/lab/order-workflow.asl.json
calls the workflow's tasks and chooses the next state by their results.

A message may arrive twice, late, or after a worker died halfway. So each task reads the order's
status, does what is missing, and returns the same result as before. A status changes in one
transaction together with its stock: the order's row lock serializes competing transitions, and the
later one raises `OrderEnded`.
"""
