"""Orders of prints: products, stock, orders and their history, in Postgres.

The workflow's steps are functions of this package, one module each. The state machine in
terraform/lab/order-workflow.asl.json calls them and decides by their results.

A message can arrive twice, late, or after a worker that died between any two lines. So each step
reads the order's status, does what is missing, and returns the same result again. A status changes
in one transaction under the order's row lock, together with its stock: the lock serializes
competing transitions, and the later one raises `OrderEnded`.
"""
