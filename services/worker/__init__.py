"""Runs functions without Lambda: `python -m services.worker --function FOLDER`.

    supervisor       builds a worker from its plan, runs it, stops it
    configuration    environment variables or PLAN.json as a plan
    poller           a thread that receives batches and passes them to an execution environment
    environments     the environments of a host that starts them on demand
    sqs              SQS: bounded calls; each outage and each recovery is logged once
    batch            Lambda's contract: the event, and the meaning of the function's result
    leases           the heartbeat that keeps received messages invisible
    acknowledgement  deletes messages, returns them to the queue, sends dead letters
    stopping         the order of stopping

`services.runtime` has what the worker shares with the gateway: processes, the Runtime API, logs.
Importing this package imports nothing else: it is part of every environment's cold start.
"""
