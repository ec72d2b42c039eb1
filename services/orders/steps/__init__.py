"""The steps of an order's workflow, one a module; what the state machine in
terraform/lab/order-workflow.asl.json makes of their answers is told there.

A message may come twice, late, or after a worker that died between any two lines. So each step
looks where the order stands, does what is missing, and answers the same again. Where an order
stands is moved in one transaction under its row's lock, together with its stock: of two that want
it to go two ways (the customer cancels while the payment is under way) one comes too late, and is
told so by `OrderEnded`.
"""
